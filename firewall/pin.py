"""One half of a media path as set elements with a time to live: the text that opens, renews and closes it. Pure.

Adding, deleting and adding in one transaction renews a timeout on every nft that Debian 12 and 13 have; a delete of
what may be gone is preceded by an add for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from firewall.ruleset import FRAMES, TABLE

#: An address and a port of it.
End = tuple[IPv4Address, int]


@dataclass(frozen=True, slots=True)
class Pin:
    """The keys of one of a namespace's media sets that one pin is; ``chosen`` is the set's name.

    ``tables``: a pin that lets something out is an element of the frames' set, too.
    """

    namespace: str
    chosen: str
    keys: tuple[str, ...]
    kbytes_per_second: int
    tables: tuple[str, ...] = (TABLE, FRAMES)


def inward(sources: tuple[IPv4Address, ...], port: int, payload_types: tuple[int, ...], kbytes_per_second: int) -> Pin:
    """Return what lets media of some payload types in from a recorder's media addresses to our port, in datagrams."""
    keys = tuple(f"{source} . {port} . {payload_type}" for source in sources for payload_type in payload_types)
    return Pin("lan", "media", keys, kbytes_per_second, (TABLE,))


def inward_framed(sources: tuple[IPv4Address, ...], port: int, kbytes_per_second: int) -> Pin:
    """Return what lets a recorder's media addresses have connections with our port, on which only they speak."""
    return Pin("lan", "media_tcp", tuple(f"{source} . {port}" for source in sources), kbytes_per_second)


def outward(own: End, far: End, kbytes_per_second: int) -> Pin:
    """Return what lets media out from our address and port to the city's, in datagrams."""
    return Pin("vpn", "media", (_way(own, far),), kbytes_per_second)


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
        f"add element {table} {pin.chosen} {{ {key} {_rate(pin, table)} timeout {ttl_seconds}s }}\n"
        f"delete element {table} {pin.chosen} {{ {key} }}\n"
        f"add element {table} {pin.chosen} {{ {key} {_rate(pin, table)} timeout {ttl_seconds}s }}\n"
        for table in pin.tables
        for key in pin.keys
    )
    return {pin.namespace: script}


def _rate(pin: Pin, table: str) -> str:
    """A frame is 14 octets longer than its packet: of sound, a fourteenth. The wire is never the narrower of the two."""
    kbytes = pin.kbytes_per_second if table == TABLE else pin.kbytes_per_second * 5 // 4
    return f"limit rate {kbytes} kbytes/second burst {kbytes} kbytes"


def changed(old: Pin, new: Pin, ttl_seconds: int) -> dict[str, str]:
    """Return the scripts that open a pin in the place of another: what only that one let through is closed."""
    alike = (old.namespace, old.chosen) == (new.namespace, new.chosen)
    scripts = closed(replace(old, keys=tuple(key for key in old.keys if not alike or key not in new.keys)))
    scripts[new.namespace] = scripts.get(new.namespace, "") + opened(new, ttl_seconds)[new.namespace]
    return scripts


def closed(pin: Pin) -> dict[str, str]:
    """Return the script that closes a pin whether it still lives or not, by its namespace."""
    script = "".join(
        f"add element {table} {pin.chosen} {{ {key} timeout 1s }}\ndelete element {table} {pin.chosen} {{ {key} }}\n"
        for table in pin.tables
        for key in pin.keys
    )
    return {pin.namespace: script}
