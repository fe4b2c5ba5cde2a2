"""The shape of a code's sentence."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A code's sentence and advice, in both languages; the advice may be empty."""

    en: str
    en_advice: str
    zh: str
    zh_advice: str
