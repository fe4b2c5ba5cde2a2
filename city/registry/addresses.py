"""Inner addresses of sites: each is given once, and when its site is gone nobody else ever gets it.

Whoever once let an address into his lists (a platform, a recorder, an audit) means that site for ever.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from city.registry.refused import RegistryRefused
from city.registry.tables import Concentrator

#: The first hosts of a network are the concentrator's own: its inner address, a spare's, what else may come.
RESERVED = 9
#: How many addresses that somebody else has (networks that overlap) are stepped over before the network counts as full.
MOST_TAKEN = 256
_KEEP = text(
    "INSERT INTO address (address, concentrator, site, given_at) VALUES (:address, :concentrator, :site, :now) "
    "ON CONFLICT DO NOTHING"
)


def capacity(network: str) -> int:
    """Return how many sites a network ("100.64.0.0/18") has addresses for; the last is its broadcast address."""
    return max(0, IPv4Network(network).num_addresses - RESERVED - 2)


def step_over(session: Session, concentrator: str, address: IPv4Address) -> None:
    """Give no address of a concentrator up to this one any more; another network's changes nothing."""
    row = session.get(Concentrator, concentrator, with_for_update=True)
    if row is not None and address in (network := IPv4Network(row.network)):
        upto = int(address) - int(network.network_address) - RESERVED
        row.taken = max(row.taken, min(upto, capacity(row.network)))
        session.flush()


def give(session: Session, concentrator: str, site: str, now: float) -> IPv4Address:
    """Give a site the next address of a concentrator; its row stays locked until the transaction ends.

    Raises:
        RegistryRefused: ``concentrator_unknown`` or ``network_full``.
    """
    network = session.scalar(select(Concentrator.network).where(Concentrator.id == concentrator))
    if network is None:
        raise RegistryRefused("concentrator_unknown", concentrator=concentrator)
    most = capacity(network)
    for _ in range(MOST_TAKEN):
        taken = session.scalar(
            update(Concentrator)
            .where(Concentrator.id == concentrator, Concentrator.taken < most)
            .values(taken=Concentrator.taken + 1)
            .returning(Concentrator.taken)
            .execution_options(synchronize_session=False)
        )
        if taken is None:
            break
        address = IPv4Network(network).network_address + RESERVED + taken
        row = {"address": str(address), "concentrator": concentrator, "site": site, "now": now}
        if session.connection().execute(_KEEP, row).rowcount == 1:
            return address
    raise RegistryRefused("network_full", concentrator=concentrator, network=network)
