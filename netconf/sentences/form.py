"""The shape of a code's sentence."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A code's sentence and advice, in both languages; the advice may be empty, and what the sentence rests on, too."""

    en: str
    en_advice: str
    zh: str
    zh_advice: str
    en_evidence: str = ""
    zh_evidence: str = ""


def broken(en: str, zh: str) -> Words:
    """Return the words of a rule that a message of a peer broke."""
    return Words(
        en,
        "If it comes from a device of yours, keep a capture of it for its maker.",
        zh,
        "如来自自有设备，请抓包交厂家。",
    )


def inside(en: str, zh: str) -> Words:
    """Return the words of a rule that one of our own programs broke toward another."""
    return Words(
        en,
        "If it happens again, send the support bundle to the maker: a program may have been taken over.",
        zh,
        "若再次发生，请将支持包发给厂商：程序可能已被攻破。",
    )
