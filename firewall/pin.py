"""One half of a media path as set elements with a time to live: the text that opens, renews and closes it. Pure.

Adding, deleting and adding in one transaction renews a timeout on every nft that Debian 12 and 13 have; a delete of
what may be gone is preceded by an add for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from firewall.ruleset import FRAMES, REPORT_LIMIT, TABLE

#: An address and a port of it.
End = tuple[IPv4Address, int]
#: What lets reports out, and in; only what goes out is a frame of ours.
_TOLD, _HEARD = "reports", "returns"


@dataclass(frozen=True, slots=True)
class Pin:
    """The keys of one of a namespace's media sets that one pin is; ``chosen`` is the set's name.

    ``tables``: a pin that lets something out is an element of the frames' set, too. ``reports`` are keys of the sets that
    let reports about that media pass, by the set's name: they come and go with it.
    """

    namespace: str
    chosen: str
    keys: tuple[str, ...]
    kbytes_per_second: int
    tables: tuple[str, ...] = (TABLE, FRAMES)
    reports: tuple[tuple[str, str], ...] = ()

    def elements(self) -> tuple[tuple[str, str, str, str], ...]:
        """Return each element: its table, its set, its key, and how much it lets pass."""
        media = tuple((table, self.chosen, key, _rate(self, table)) for table in self.tables for key in self.keys)
        return media + tuple(
            (table, name, key, REPORT_LIMIT)
            for name, key in self.reports
            for table in ((TABLE,) if name == _HEARD else (TABLE, FRAMES))
        )


def inward(
    sources: tuple[IPv4Address, ...],
    port: int,
    payload_types: tuple[int, ...],
    kbytes_per_second: int,
    reports: int | None = None,
) -> Pin:
    """Return what lets media of some payload types in from a recorder's media addresses to our port, in datagrams.

    With it, what lets reports about it out to them from our port ``reports``; nothing comes in there.
    """
    keys = tuple(f"{source} . {port} . {payload_type}" for source in sources for payload_type in payload_types)
    told = () if reports is None else tuple((_TOLD, f"{source} . {reports}") for source in sources)
    return Pin("lan", "media", keys, kbytes_per_second, (TABLE,), told)


def inward_framed(sources: tuple[IPv4Address, ...], port: int, kbytes_per_second: int) -> Pin:
    """Return what lets a recorder's media addresses have connections with our port, on which only they speak."""
    return Pin("lan", "media_tcp", tuple(f"{source} . {port}" for source in sources), kbytes_per_second)


def outward(own: End, far: End, kbytes_per_second: int, reports: tuple[int, int] | None = None) -> Pin:
    """Return what lets media out from our address and port to the city's, in datagrams.

    With it, what lets reports out and in between two more ports, the city's and ours.
    """
    told: tuple[tuple[str, str], ...] = ()
    if reports is not None:
        key = _way((own[0], reports[1]), (far[0], reports[0]))
        told = ((_TOLD, key), (_HEARD, key))
    return Pin("vpn", "media", (_way(own, far),), kbytes_per_second, reports=told)


def outward_framed(own: End, far: End, kbytes_per_second: int) -> Pin:
    """Return what lets our address and port have a connection to the city's."""
    return Pin("vpn", "media_tcp", (_way(own, far),), kbytes_per_second)


def sound_from(own: End, far: End, kbytes_per_second: int) -> Pin:
    """Return what lets sound in from the city's address and port to ours."""
    return Pin("vpn", "sound", (_way(own, far),), kbytes_per_second, (TABLE,))


def _way(own: End, far: End) -> str:
    return f"{own[0]} . {far[0]} . {far[1]} . {own[1]}"


def sound_to(address: IPv4Address, port: int, local_port: int, kbytes_per_second: int) -> Pin:
    """Return what lets sound out from our port to a recorder's."""
    return Pin("lan", "sound", (f"{address} . {port} . {local_port}",), kbytes_per_second)


def opened(pin: Pin, ttl_seconds: int) -> dict[str, str]:
    """Return the script that opens or renews a pin, by its namespace."""
    script = "".join(
        f"add element {table} {held} {{ {key} {rate} timeout {ttl_seconds}s }}\n"
        f"delete element {table} {held} {{ {key} }}\n"
        f"add element {table} {held} {{ {key} {rate} timeout {ttl_seconds}s }}\n"
        for table, held, key, rate in pin.elements()
    )
    return {pin.namespace: script}


def _rate(pin: Pin, table: str) -> str:
    """A frame is 14 octets longer than its packet: of sound, a fourteenth. The wire is never the narrower of the two."""
    kbytes = pin.kbytes_per_second if table == TABLE else pin.kbytes_per_second * 5 // 4
    return f"limit rate {kbytes} kbytes/second burst {kbytes} kbytes"


def changed(old: Pin, new: Pin, ttl_seconds: int) -> dict[str, str]:
    """Return the scripts that open a pin in the place of another: what only that one let through is closed."""
    alike = (old.namespace, old.chosen) == (new.namespace, new.chosen)
    keys = tuple(key for key in old.keys if not alike or key not in new.keys)
    reports = tuple(told for told in old.reports if old.namespace != new.namespace or told not in new.reports)
    scripts = closed(replace(old, keys=keys, reports=reports))
    scripts[new.namespace] = scripts.get(new.namespace, "") + opened(new, ttl_seconds)[new.namespace]
    return scripts


def closed(pin: Pin) -> dict[str, str]:
    """Return the script that closes a pin whether it still lives or not, by its namespace."""
    script = "".join(
        f"add element {table} {held} {{ {key} timeout 1s }}\ndelete element {table} {held} {{ {key} }}\n"
        for table, held, key, _ in pin.elements()
    )
    return {pin.namespace: script}
