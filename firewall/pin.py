"""One half of a media path as set elements with a time to live: the text that opens, renews and closes it. Pure.

Adding, deleting and adding in one transaction renews a timeout on every nft that Debian 12 and 13 have; a delete of
what may be gone is preceded by an add for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from firewall.ruleset import REPORT_LIMIT, TABLE


@dataclass(frozen=True, slots=True)
class Pin:
    """The keys of one of a namespace's media sets that one pin is; ``chosen`` is the set's name.

    ``reports`` are keys of the sets that let reports about that media pass: they come and go with it.
    """

    namespace: str
    chosen: str
    keys: tuple[str, ...]
    kbytes_per_second: int
    reports: tuple[tuple[str, str], ...] = ()

    def elements(self) -> tuple[tuple[str, str, str], ...]:
        """Return each element: its set, its key, and how much it lets pass."""
        rate = f"limit rate {self.kbytes_per_second} kbytes/second burst {self.kbytes_per_second} kbytes"
        media = tuple((self.chosen, key, rate) for key in self.keys)
        return media + tuple((name, key, REPORT_LIMIT) for name, key in self.reports)


def inward(
    sources: tuple[IPv4Address, ...], port: int, payload_type: int, kbytes_per_second: int, reports: int | None = None
) -> Pin:
    """Return what lets media in from a recorder's media addresses to our port, in datagrams.

    With it, what lets reports about it out to them from our port ``reports``; nothing comes in there.
    """
    keys = tuple(f"{source} . {port} . {payload_type}" for source in sources)
    told = () if reports is None else tuple(("reports", f"{source} . {reports}") for source in sources)
    return Pin("lan", "media", keys, kbytes_per_second, told)


def inward_framed(sources: tuple[IPv4Address, ...], port: int, kbytes_per_second: int) -> Pin:
    """Return what lets a recorder's media addresses have connections with our port, on which only they speak."""
    return Pin("lan", "media_tcp", tuple(f"{source} . {port}" for source in sources), kbytes_per_second)


def outward(
    address: IPv4Address, port: int, local_port: int, kbytes_per_second: int, reports: tuple[int, int] | None = None
) -> Pin:
    """Return what lets media out from our port to the city's, in datagrams.

    With it, what lets reports out and in between two more ports, the city's and ours.
    """
    told: tuple[tuple[str, str], ...] = ()
    if reports is not None:
        key = f"{address} . {reports[0]} . {reports[1]}"
        told = (("reports", key), ("returns", key))
    return Pin("vpn", "media", (f"{address} . {port} . {local_port}",), kbytes_per_second, told)


def outward_framed(address: IPv4Address, port: int, local_port: int, kbytes_per_second: int) -> Pin:
    """Return what lets our port have a connection to the city's."""
    return Pin("vpn", "media_tcp", (f"{address} . {port} . {local_port}",), kbytes_per_second)


def sound_from(address: IPv4Address, port: int, local_port: int, kbytes_per_second: int) -> Pin:
    """Return what lets sound in from the city's port to ours."""
    return Pin("vpn", "sound", (f"{address} . {port} . {local_port}",), kbytes_per_second)


def sound_to(address: IPv4Address, port: int, local_port: int, kbytes_per_second: int) -> Pin:
    """Return what lets sound out from our port to a recorder's."""
    return Pin("lan", "sound", (f"{address} . {port} . {local_port}",), kbytes_per_second)


def opened(pin: Pin, ttl_seconds: int) -> dict[str, str]:
    """Return the script that opens or renews a pin, by its namespace."""
    script = "".join(
        f"add element {TABLE} {held} {{ {key} {rate} timeout {ttl_seconds}s }}\n"
        f"delete element {TABLE} {held} {{ {key} }}\n"
        f"add element {TABLE} {held} {{ {key} {rate} timeout {ttl_seconds}s }}\n"
        for held, key, rate in pin.elements()
    )
    return {pin.namespace: script}


def closed(pin: Pin) -> dict[str, str]:
    """Return the script that closes a pin whether it still lives or not, by its namespace."""
    script = "".join(
        f"add element {TABLE} {held} {{ {key} timeout 1s }}\ndelete element {TABLE} {held} {{ {key} }}\n"
        for held, key, _ in pin.elements()
    )
    return {pin.namespace: script}
