"""Rules as values, and their one text form."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

TABLE = "inet snowgate"
#: What may leave a port as a frame, whoever made it: a packet socket passes no output chain.
FRAMES = "netdev snowgate"
#: What was dropped is remembered for so long, by its key; whoever sends from many addresses finds no more room than this.
NOTE_SECONDS, MOST_NOTES = 600, 256
#: Reports (RTCP) of one view: one each 4 s or so is what honest ends send.
REPORT_LIMIT = "limit rate 4/second burst 8 packets"
#: Of a set's element that says nothing itself; those of pins do.
_MEDIA_LIMIT = "limit rate 2048 kbytes/second burst 2048 kbytes"
_HOOKS = {"raw": ("prerouting", -500), "input": ("input", 0), "output": ("output", 0), "forward": ("forward", 0)}


@dataclass(frozen=True, slots=True)
class Rule:
    """``match`` and ``verdict`` in nft's words; ``policy`` is the comment that says why it is there."""

    match: str
    verdict: str
    policy: str

    def __str__(self) -> str:
        head = f"{self.match} " if self.match else ""
        return f'{head}counter {self.verdict} comment "{self.policy}"'


@dataclass(frozen=True, slots=True)
class Wire:
    """A device, and what may leave it as a frame."""

    port: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """One namespace: the four chains of the gate, the media sets, and what may leave its devices as a frame."""

    namespace: str
    raw: tuple[Rule, ...]
    input: tuple[Rule, ...]
    output: tuple[Rule, ...]
    #: Name -> key of the sets that pins are elements of (``firewall.pin``).
    pins: tuple[tuple[str, str], ...] = ()
    #: Name -> key of the sets that the reports of pins are elements of.
    reports: tuple[tuple[str, str], ...] = ()
    wires: tuple[Wire, ...] = ()
    #: Which of the sets that pins are elements of stand in the frames' table as well: a table sees no other's sets.
    wire_pins: tuple[str, ...] = ()
    #: Name -> key of the sets in which dropping rules write down whom they dropped (``noting``).
    notes: tuple[tuple[str, str], ...] = ()
    #: Name -> key of the sets that let something pass for seconds (``firewall.hole``), and the same of the frames.
    holes: tuple[tuple[str, str], ...] = ()
    wire_holes: tuple[tuple[str, str], ...] = ()

    def text(self, there: Collection[str] | None = None) -> str:
        """Return the transaction that puts these rules in place of those before; byte-stable.

        ``there``: the devices that are there, for the kernel takes no chain upon one that is not; None for all.
        Chains are kept and flushed, and each ends with an explicit drop (measured: exchanging a table that has only
        policies leaks packets in every run).
        """
        lines = [f"# {self.namespace}", f"add table {TABLE}"]
        lines += self._sets(TABLE)
        for name, key in self.notes:
            lines.append(
                f"add set {TABLE} {name} {{ typeof {key}; flags dynamic,timeout; timeout {NOTE_SECONDS}s; size {MOST_NOTES}; }}"
            )
        lines += [_hole(TABLE, name, key) for name, key in self.holes]
        for name, rules in (("raw", self.raw), ("input", self.input), ("output", self.output), ("forward", ())):
            hook, priority = _HOOKS[name]
            lines.append(f"add chain {TABLE} {name} {{ type filter hook {hook} priority {priority}; policy drop; }}")
            lines.append(f"flush chain {TABLE} {name}")
            lines += [f"add rule {TABLE} {name} {rule}" for rule in (*rules, _last(name))]
        lines += self._frames(self.wires if there is None else [wire for wire in self.wires if wire.port in there])
        return "\n".join(lines) + "\n"

    def _frames(self, wires: Collection[Wire]) -> list[str]:
        """The frames' table is made anew each time: a chain that is kept would keep a device it had before."""
        lines = [f"add table {FRAMES}", f"delete table {FRAMES}", f"add table {FRAMES}"]
        lines += self._sets(FRAMES)
        lines += [_hole(FRAMES, name, key) for name, key in self.wire_holes]
        for wire in wires:
            chain = f"egress-{wire.port}"
            hook = f'type filter hook egress device "{wire.port}" priority 0; policy drop;'
            lines.append(f"add chain {FRAMES} {chain} {{ {hook} }}")
            lines += [f"add rule {FRAMES} {chain} {rule}" for rule in (*wire.rules, _last("egress"))]
        return lines

    def _sets(self, table: str) -> list[str]:
        """The sets that pins are elements of, as far as they stand in a table."""
        sets = [(name, key, _MEDIA_LIMIT) for name, key in self.pins]
        sets += [(name, key, REPORT_LIMIT) for name, key in self.reports]
        return [
            f"add set {table} {name} {{ typeof {key}; flags timeout; size 4096; {limit}; }}"
            for name, key, limit in sets
            if table == TABLE or name in self.wire_pins
        ]

    def digest(self) -> str:
        """Return the SHA-256 of the whole text: the name of exactly these rules."""
        return hashlib.sha256(self.text().encode("utf-8")).hexdigest()

    def policies(self) -> frozenset[str]:
        """Return the comments that a loaded ruleset must show."""
        rules = (*self.raw, *self.input, *self.output, *(rule for wire in self.wires for rule in wire.rules))
        return frozenset(rule.policy for rule in rules)


def _hole(table: str, name: str, key: str) -> str:
    return f"add set {table} {name} {{ typeof {key}; flags timeout; size 4; }}"


def noting(name: str, key: str) -> str:
    """Return the end of a dropping rule's match that writes ``key`` into the set ``name``.

    With the set full the match fails: behind such a rule stands one that drops without writing.
    """
    return f"update @{name} {{ {key} counter }}"


def shut_text() -> str:
    """Return the transaction that lets nothing pass in a namespace, whatever was loaded before."""
    lines = [f"add table {FRAMES}", f"flush table {FRAMES}", f"add table {TABLE}"]
    for name, (hook, priority) in _HOOKS.items():
        lines.append(f"add chain {TABLE} {name} {{ type filter hook {hook} priority {priority}; policy drop; }}")
        lines += [f"flush chain {TABLE} {name}", f"add rule {TABLE} {name} {Rule('', 'drop', 'closed')}"]
    return "\n".join(lines) + "\n"


def _last(chain: str) -> Rule:
    return Rule("", "accept", "local, whole, IPv4") if chain == "raw" else Rule("", "drop", "closed")
