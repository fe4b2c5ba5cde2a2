"""All that a report is judged by, in one statement: the road of most requests, for most reports ask for nothing.

It decides nothing by itself. What it finds still is for ``reports.settle``, which reads what it needs anew, in a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, cast, exists, func, select

from city.registry.tables import Certificate, Layer, Meta, Peer, ReceiptHead, Site


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate as the registry keeps it."""

    subject: str
    pem: str
    begins_at: float
    ends_at: float
    revoked_at: float | None
    held_at: float | None


@dataclass(frozen=True, slots=True)
class Glance:
    """What the registry has on whoever shows a certificate; ``site`` is "" when that is no site's.

    ``layer`` is the state of the newest layer, ``head`` the last of its receipts, ``asked`` whether it shall make a key.
    """

    shown: Shown
    site: str
    state: str
    device_key: str
    offered: int
    epoch: int
    layer: str | None
    head: tuple[int, str] | None
    asked: bool

    @property
    def mark(self) -> tuple[int, int]:
        """Epoch and revision of the newest layer."""
        return self.epoch, self.offered


def at(connection: Connection, serial: str) -> Glance | None:
    """Return what there is on a certificate's owner; None when the registry has no such certificate."""
    row = connection.execute(_STATEMENT, {"serial": serial}).first()
    if row is None:
        return None
    head = (row.sequence, row.hash) if row.sequence is not None else None
    return Glance(Shown(*row[:6]), row.id or "", row.state or "", row.device_key or "", row.offered or 0, row.epoch,
                  row.layer, head, bool(row.asked))  # fmt: skip


def _statement() -> Select[Any]:
    # The tables, not the classes: nothing is to be made an object and watched for changes.
    certificate, site, layer, meta, peer, head = (
        table.__table__.c for table in (Certificate, Site, Layer, Meta, Peer, ReceiptHead)
    )
    number = func.substr(certificate.subject, len("site:") + 1)
    epoch = func.coalesce(
        select(cast(meta.value, BigInteger)).where(meta.name == "epoch").scalar_subquery(), 1
    )  # as ``layers.epoch``
    newest = select(func.max(head.sequence)).where(head.site == site.id).correlate(Site.__table__).scalar_subquery()
    asked = exists().where(peer.site == site.id, peer.rotation == "asked")
    return (
        select(
            certificate.subject, certificate.pem, certificate.begins_at, certificate.ends_at, certificate.revoked_at,
            certificate.held_at, site.id, site.state, site.device_key, site.offered, epoch.label("epoch"),
            layer.state.label("layer"), head.sequence, head.hash, asked.label("asked"),
        )
        .select_from(Certificate.__table__)
        .outerjoin(Site.__table__, and_(certificate.subject.startswith("site:"), site.id == number))
        .outerjoin(Layer.__table__, and_(layer.site == site.id, layer.epoch == epoch, layer.revision == site.offered))
        .outerjoin(ReceiptHead.__table__, and_(head.site == site.id, head.sequence == newest))
        .where(certificate.serial == bindparam("serial"))
    )  # fmt: skip


_STATEMENT = _statement()
