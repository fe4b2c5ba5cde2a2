"""One call's media path as set elements with a time to live: the text that opens, renews and closes it. Pure.

Adding, deleting and adding in one transaction renews a timeout on every nft that Debian 12 and 13 have; a delete of
what may be gone is preceded by an add for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from firewall.ruleset import TABLE


@dataclass(frozen=True, slots=True)
class Pin:
    """From a recorder's media addresses to our port, and from our city port to the city's."""

    sources: tuple[IPv4Address, ...]
    lan_port: int
    payload_type: int
    city_address: IPv4Address
    city_port: int
    city_local_port: int
    kbytes_per_second: int

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Return the set keys, per namespace."""
        lan = tuple(f"{source} . {self.lan_port} . {self.payload_type}" for source in self.sources)
        return {"lan": lan, "vpn": (f"{self.city_address} . {self.city_port} . {self.city_local_port}",)}


def opened(pin: Pin, ttl_seconds: int) -> dict[str, str]:
    """Return the script that opens or renews a pin, per namespace."""
    rate = f"limit rate {pin.kbytes_per_second} kbytes/second burst {pin.kbytes_per_second} kbytes"
    return {
        namespace: "".join(
            f"add element {TABLE} media {{ {key} {rate} timeout {ttl_seconds}s }}\n"
            f"delete element {TABLE} media {{ {key} }}\n"
            f"add element {TABLE} media {{ {key} {rate} timeout {ttl_seconds}s }}\n"
            for key in keys
        )
        for namespace, keys in pin.keys().items()
    }


def closed(pin: Pin) -> dict[str, str]:
    """Return the script that closes a pin whether it still lives or not, per namespace."""
    return {
        namespace: "".join(
            f"add element {TABLE} media {{ {key} timeout 1s }}\ndelete element {TABLE} media {{ {key} }}\n"
            for key in keys
        )
        for namespace, keys in pin.keys().items()
    }
