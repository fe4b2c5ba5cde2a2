"""Rules as values, and their one text form."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TABLE = "inet snowgate"
#: What was dropped is remembered for so long, by its key; whoever sends from many addresses finds no more room than this.
NOTE_SECONDS, MOST_NOTES = 600, 256
#: Reports (RTCP) of one view: one each 4 s or so is what honest ends send.
REPORT_LIMIT = "limit rate 4/second burst 8 packets"
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
class Ruleset:
    """One namespace: the four chains of the gate, the media sets, and what may leave a port as a frame."""

    namespace: str
    raw: tuple[Rule, ...]
    input: tuple[Rule, ...]
    output: tuple[Rule, ...]
    #: Name -> key of the sets that pins are elements of (``firewall.pin``).
    pins: tuple[tuple[str, str], ...] = ()
    egress_port: str = ""
    egress: tuple[Rule, ...] = ()
    #: Name -> key of the sets that the reports of pins are elements of.
    reports: tuple[tuple[str, str], ...] = ()
    #: Name -> key of the sets in which dropping rules write down whom they dropped (``noting``).
    notes: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Return the transaction that puts these rules in place of those before; byte-stable.

        Chains are kept and flushed, and each ends with an explicit drop (measured: exchanging a table that has only
        policies leaks packets in every run).
        """
        lines = [f"# {self.namespace}", f"add table {TABLE}"]
        for name, key in self.pins:
            lines.append(
                f"add set {TABLE} {name} {{ typeof {key}; flags timeout; size 4096; limit rate 2048 kbytes/second burst 2048 kbytes; }}"
            )
        for name, key in self.reports:
            lines.append(f"add set {TABLE} {name} {{ typeof {key}; flags timeout; size 4096; {REPORT_LIMIT}; }}")
        for name, key in self.notes:
            lines.append(
                f"add set {TABLE} {name} {{ typeof {key}; flags dynamic,timeout; timeout {NOTE_SECONDS}s; size {MOST_NOTES}; }}"
            )
        for name, rules in (("raw", self.raw), ("input", self.input), ("output", self.output), ("forward", ())):
            hook, priority = _HOOKS[name]
            lines.append(f"add chain {TABLE} {name} {{ type filter hook {hook} priority {priority}; policy drop; }}")
            lines.append(f"flush chain {TABLE} {name}")
            lines += [f"add rule {TABLE} {name} {rule}" for rule in (*rules, _last(name))]
        lines += self._frames()
        return "\n".join(lines) + "\n"

    def _frames(self) -> list[str]:
        """The frames' table is made anew each time: a chain that is kept would keep a port it had before."""
        if not self.egress_port:
            return []
        table, chain = "netdev snowgate", "egress"
        lines = [
            f"add table {table}",
            f"delete table {table}",
            f"add table {table}",
            f'add chain {table} {chain} {{ type filter hook egress device "{self.egress_port}" priority 0; policy drop; }}',
        ]
        return lines + [f"add rule {table} {chain} {rule}" for rule in (*self.egress, _last("egress"))]

    def digest(self) -> str:
        """Return the SHA-256 of the text: the name of exactly these rules."""
        return hashlib.sha256(self.text().encode("utf-8")).hexdigest()

    def policies(self) -> frozenset[str]:
        """Return the comments that a loaded ruleset must show."""
        rules = (*self.raw, *self.input, *self.output, *self.egress)
        return frozenset(rule.policy for rule in rules)


def noting(name: str, key: str) -> str:
    """Return the end of a dropping rule's match that writes ``key`` into the set ``name``.

    With the set full the match fails: behind such a rule stands one that drops without writing.
    """
    return f"update @{name} {{ {key} counter }}"


def shut_text() -> str:
    """Return the transaction that lets nothing pass in a namespace, whatever was loaded before."""
    lines = [f"add table {TABLE}"]
    for name, (hook, priority) in _HOOKS.items():
        lines.append(f"add chain {TABLE} {name} {{ type filter hook {hook} priority {priority}; policy drop; }}")
        lines += [f"flush chain {TABLE} {name}", f"add rule {TABLE} {name} {Rule('', 'drop', 'closed')}"]
    return "\n".join(lines) + "\n"


def _last(chain: str) -> Rule:
    return Rule("", "accept", "local, whole, IPv4") if chain == "raw" else Rule("", "drop", "closed")
