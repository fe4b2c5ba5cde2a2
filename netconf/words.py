"""The sentence and the "what to do" of every code, in English and Chinese. Everybody prints from here.

A code is stable; its words may be bettered. ``{name}`` in a sentence is a fact of the finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from netconf.finding import Finding
from netconf.sentences.apply import APPLY
from netconf.sentences.bodies import BODIES, ITEM, STRICT
from netconf.sentences.calls import CALLS
from netconf.sentences.changes import CHANGES
from netconf.sentences.city_api import CITY_API
from netconf.sentences.city_cli import CITY_CLI
from netconf.sentences.city_console import CITY_CONSOLE
from netconf.sentences.city_enrolment import CITY_ENROLMENT
from netconf.sentences.city_hub import CITY_HUB
from netconf.sentences.city_layers import CITY_LAYERS
from netconf.sentences.city_registry import CITY_REGISTRY
from netconf.sentences.city_signing import CITY_SIGNING
from netconf.sentences.city_truth import CITY_TRUTH
from netconf.sentences.crossing import CROSSING
from netconf.sentences.enrolment import ENROLMENT
from netconf.sentences.faults import FAULTS
from netconf.sentences.form import Words
from netconf.sentences.lab import LAB
from netconf.sentences.pages import PAGES
from netconf.sentences.processes import PROCESSES
from netconf.sentences.proofs import PROOFS
from netconf.sentences.quality import QUALITY
from netconf.sentences.receipts import RECEIPTS
from netconf.sentences.requests import REQUESTS
from netconf.sentences.rights import RIGHTS
from netconf.sentences.sip import SIP
from netconf.sentences.site import SITE
from netconf.sentences.upkeep import UPKEEP
from netconf.sentences.uplink import UPLINK

Language = Literal["en", "zh-CN"]
#: What the pages speak, the first one where nobody says.
LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")


TABLE: dict[str, Words] = (
    SITE
    | APPLY
    | LAB
    | CALLS
    | RIGHTS
    | SIP
    | BODIES
    | CROSSING
    | REQUESTS
    | CHANGES
    | CITY_LAYERS
    | ENROLMENT
    | PROOFS
    | PAGES
    | UPLINK
    | RECEIPTS
    | PROCESSES
    | UPKEEP
    | FAULTS
    | QUALITY
    | CITY_API
    | CITY_CLI
    | CITY_CONSOLE
    | CITY_ENROLMENT
    | CITY_HUB
    | CITY_REGISTRY
    | CITY_SIGNING
    | CITY_TRUTH
)
#: Codes that are made of another: of what a peer is forgiven or not, and of what an item of a list broke.
FAMILIES = {"strict_": STRICT, "item_": ITEM}
_NONE = Words("", "", "", "")


def of(code: str) -> Words | None:
    """Return the words of a code, or of the family it belongs to; None of one that is not known."""
    known = TABLE.get(code)
    if known is not None:
        return known
    if code.startswith("call_"):
        return TABLE["call_event"]
    for prefix, family in FAMILIES.items():
        inner = TABLE.get(code.removeprefix(prefix)) if code.startswith(prefix) else None
        if inner is not None:
            en, zh = family.en.replace("{inner}", inner.en), family.zh.replace("{inner}", inner.zh)
            return family._replace(en=en, zh=zh)
    return None


class _Facts(dict[str, str]):
    """The facts of a finding, fit for a terminal; one that is missing is a question mark, never an error."""

    def __missing__(self, key: str) -> str:
        return "?"


def sentence(found: Finding, language: Language = "en") -> str:
    """Return what is wrong, in one sentence; a code without words (of another version) is its own sentence."""
    words = of(found.code)
    if words is None:
        return found.code
    return _filled(words.en if language == "en" else words.zh, found)


def advice(found: Finding, language: Language = "en") -> str:
    """Return what to do about it; may be empty."""
    words = of(found.code) or _NONE
    return _filled(words.en_advice if language == "en" else words.zh_advice, found)


def evidence(found: Finding, language: Language = "en") -> str:
    """Return what a finding rests on; may be empty."""
    words = of(found.code) or _NONE
    return _filled(words.en_evidence if language == "en" else words.zh_evidence, found)


def _filled(words: str, found: Finding) -> str:
    return words.format_map(_Facts((name, _visible(value)) for name, value in found.args))


def _visible(text: str) -> str:
    """What a file or a tool said must not move the reader's cursor or forge a second line."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def reason(code: str, language: Language = "en") -> str:
    """Return the sentence of a code that names no facts; any other is the name of a rule that a message broke."""
    if of(code) is None:
        return sentence(Finding("message_refused", args=(("rule", code),)), language)
    return sentence(Finding(code), language)


def report(findings: Iterable[Finding], language: Language = "en") -> list[str]:
    """Return one line a finding: where, what, what it rests on, what to do, code."""
    lines = [
        (_visible(f.path), *(put(f, language) for put in (sentence, evidence, advice)), f"({f.code})") for f in findings
    ]
    return [" ".join(part for part in line if part) for line in lines]


def page_word(table: Mapping[str, tuple[str, str]], key: str, language: str, facts: Mapping[str, object]) -> str:
    """Return a word of a page out of its table, Chinese and English; one that is missing is its own key, so that it is seen."""
    found = table.get(key)
    if found is None:
        return key
    return found[1 if language == "en" else 0].format(**facts)


def language_of(chosen: str | None, accepted: str | None) -> Language:
    """Return a page's language: what was chosen, else what the browser prefers, else Chinese."""
    for language in LANGUAGES:
        if chosen == language:
            return language
    first = (accepted or "").split(",")[0].strip().lower()
    return "en" if first.startswith("en") else "zh-CN"
