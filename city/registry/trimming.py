"""What is forgotten, so that no table grows without an end. Each statement is bounded; the rest goes the next time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, delete, exists, select
from sqlalchemy.orm import Session, aliased

from city.registry import feeds, hooks
from city.registry.people import IDLE_SECONDS, SESSION_SECONDS
from city.registry.tables import Alert, Claim, Feed, ReceiptHead, Telling
from city.registry.tables import Session as SignedIn

MOST = 5000
DAY = 86_400.0
#: Claims that nobody used, heads of receipts besides the newest, alerts that are over. The record of acts keeps the rest.
CLAIM_SECONDS, HEAD_SECONDS, ALERT_SECONDS = 90 * DAY, 90 * DAY, 400 * DAY


def trim(session: Session, now: float) -> None:
    """Forget what has run out."""
    for feed in session.scalars(select(Feed).where(Feed.revision > feeds.KEPT)).all():
        feeds.trim(session, feed.name, feed.revision - feeds.KEPT)
    ended = (SignedIn.seen_at < now - IDLE_SECONDS) | (SignedIn.made_at < now - SESSION_SECONDS)
    _some(session, SignedIn, SignedIn.id, ended)
    _some(session, Claim, Claim.prefix, and_(Claim.ends_at < now - CLAIM_SECONDS, Claim.device.is_(None)))
    hooks.trim(session, now, MOST)
    waits = exists().where(Telling.alert == Alert.id)
    _some(session, Alert, Alert.id, and_(Alert.closed_at < now - ALERT_SECONDS, ~waits))
    _heads(session, now)


def _some(session: Session, table: Any, key: Any, which: Any) -> None:
    chosen = select(key).where(which).order_by(key).limit(MOST)
    session.execute(delete(table).where(key.in_(chosen)).execution_options(synchronize_session=False))


def _heads(session: Session, now: float) -> None:
    newer = aliased(ReceiptHead)
    old = session.execute(
        select(ReceiptHead.site, ReceiptHead.sequence)
        .where(
            ReceiptHead.at < now - HEAD_SECONDS,
            exists().where(newer.site == ReceiptHead.site, newer.sequence > ReceiptHead.sequence),
        ).order_by(ReceiptHead.at).limit(MOST)
    ).all()  # fmt: skip
    for site, sequence in old:
        session.execute(delete(ReceiptHead).where(ReceiptHead.site == site, ReceiptHead.sequence == sequence))
