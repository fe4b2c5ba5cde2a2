"""The one hole of ``wan`` that is not WireGuard's: to where the city enrols boxes, for one user and some seconds. Pure.

The rules are always there and name no address; who may go where stands in three sets that are empty but while the keeper
fills them: what goes out (user, address, port), what comes back (address, port), and the frames of both on the wire.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from firewall.ruleset import FRAMES, TABLE

#: Longer, and a hole stands open that nobody uses any more; shorter, and an exchange over a slow line is cut off.
HOLE_SECONDS = 60
OUT_KEY, IN_KEY, FRAME_KEY = "meta skuid . ip daddr . tcp dport", "ip saddr . tcp sport", "ip daddr . tcp dport"
OUT_SET, IN_SET, FRAME_SET = "enrolment", "enrolment_in", "enrolment"


def opened(user: int, address: IPv4Address, port: int, seconds: int = HOLE_SECONDS) -> str:
    """Return the script that opens the hole, or opens it anew for so long."""
    return "".join(
        f"add element {held} {{ {key} timeout {seconds}s }}\n"
        f"delete element {held} {{ {key} }}\n"
        f"add element {held} {{ {key} timeout {seconds}s }}\n"
        for held, key in _elements(user, address, port)
    )


def closed() -> str:
    """Return the script that closes it whatever it was."""
    sets = ((TABLE, OUT_SET), (TABLE, IN_SET), (FRAMES, FRAME_SET))
    return "".join(f"flush set {table} {name}\n" for table, name in sets)


def _elements(user: int, address: IPv4Address, port: int) -> tuple[tuple[str, str], ...]:
    return (
        (f"{TABLE} {OUT_SET}", f"{user} . {address} . {port}"),
        (f"{TABLE} {IN_SET}", f"{address} . {port}"),
        (f"{FRAMES} {FRAME_SET}", f"{address} . {port}"),
    )
