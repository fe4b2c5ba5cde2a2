"""What a recorder answers to an INVITE: whether it can be taken, and what of it is at fault if not."""

from __future__ import annotations

from edge.sdp.description import FRAMED, MediaDescription
from edge.sdp.formats import carried, named


def unusable(answer: MediaDescription, sources: frozenset[str], media: str) -> str:
    """Return why what a recorder answered cannot be taken, "" when it can."""
    if answer.address not in sources:
        return "media_address_foreign"
    if not _agrees(answer, media):
        return "sdp_unacceptable"
    return "" if carried(answer) else "encoding_not_carried"


def at_fault(answer: MediaDescription, reason: str) -> str:
    """Return what of an answer was at fault, for a person to read."""
    if reason == "encoding_not_carried":
        return named(answer) or " ".join(map(str, answer.payload_types))
    return answer.address if reason == "media_address_foreign" else f"{answer.transport} {answer.port}"


def _agrees(answer: MediaDescription, media: str) -> bool:
    """Return whether a recorder will send as it was asked: who dials must be said by nobody, or by both alike."""
    if media == "udp":
        return answer.transport == "RTP/AVP" and answer.port > 0
    if answer.transport != FRAMED:
        return False
    if media == "tcp_active":
        return answer.setup != "active" and answer.port >= 1024
    return answer.setup != "passive"
