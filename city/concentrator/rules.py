"""The concentrator's rules as text for ``nft -f``: what sites may reach, and that they never reach each other. Pure.

The tables' own defaults are shut. Who a site is, is held by WireGuard itself (AllowedIPs): a packet with another's inner
source never leaves the device.
"""

from __future__ import annotations

from city.concentrator import slots
from city.concentrator.config import Config, Service
from city.concentrator.echo import OCTETS, PORT

TABLE = "inet snowgate_hub"
_UDP_HEADER = 8


def render(config: Config) -> str:
    """Return one transaction that replaces our table; the same configuration gives the same octets."""
    names = ", ".join(f'"{slots.device(config, number)}"' for number in range(len(config.ports)))
    device, network, own = f"{{ {names} }}", str(config.network), str(config.address)
    to_city = [f'iifname {device} {match} counter accept comment "{name}"' for match, name in _matches(config, "d")]
    to_site = [f'oifname {device} {match} counter accept comment "{name}"' for match, name in _matches(config, "s")]
    inner = [match.removeprefix(f"ip saddr {network} ") for match, _ in _matches(config, "d")]
    lines = [
        f"table {TABLE} {{}}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        "  chain forward {",
        "    type filter hook forward priority filter; policy drop;",
        f'    iifname {device} oifname {device} counter drop comment "site to site"',
        f'    iifname {device} meta nfproto ipv6 counter drop comment "no IPv6 to the city"',
        f'    iifname {device} ip saddr != {network} counter drop comment "no site of ours"',
        *(f"    {line}" for line in to_city),
        *(f"    {line}" for line in to_site),
        '    counter drop comment "not listed"',
        "  }",
        "  chain input {",
        "    type filter hook input priority filter; policy accept;",
        f'    iifname != {device} ip daddr {own} counter drop comment "inner address from outside"',
        f'    iifname != {device} accept comment "the host\'s own rules"',
        f'    ip saddr {network} ip daddr {own} udp dport {PORT} udp length {OCTETS + _UDP_HEADER} counter accept comment "probe"',
        *(f'    ip saddr {network} {match} counter accept comment "city on this host"' for match in inner),
        '    counter drop comment "nothing else of sites"',
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _matches(config: Config, end: str) -> list[tuple[str, str]]:
    """The city's services as matches: towards them (``end`` "d"), or from them."""
    other = "s" if end == "d" else "d"
    found = []
    for service in config.city:
        place = f"ip {other}addr {config.network} ip {end}addr {service.network}"
        found += [(f"{place}{ports}", f"city {service.network}") for ports in _ports(service, end)]
    return found


def _ports(service: Service, end: str) -> list[str]:
    """Without any port named: all of the network; replies come from the same ports."""
    if not service.udp and not service.tcp:
        return [""]
    named = (("udp", service.udp), ("tcp", service.tcp))
    return [f" {protocol} {end}port {{ {', '.join(ports)} }}" for protocol, ports in named if ports]
