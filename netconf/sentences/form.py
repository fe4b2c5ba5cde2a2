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
