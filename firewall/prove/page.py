"""What came of a proof, for people and programs: ``result.json``, signed by the device key, and the same as a page.

The signature is over the canonical JSON of everything but itself, behind a purpose of its own (as in ``netconf.envelope``).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firewall.prove.packet import Outcome, Room
from netconf import durable, secrets, words
from netconf.finding import finding
from netconf.model import Site

VERSION = 1
MAX_RESULT_BYTES = 1 << 22
RESULT, PAGE = "result.json", "page.html"
_PURPOSE = b"snowgate proof 1\n"


class BadProof(Exception):
    """It is no proof, or not the one that was signed; ``code`` is one of ``netconf.words``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def digests(texts: Mapping[Room, str]) -> dict[str, str]:
    """Return the SHA-256 of each ruleset: the name of exactly these rules."""
    return {name: hashlib.sha256(text.encode("utf-8")).hexdigest() for name, text in sorted(texts.items())}


def result(
    site: Site,
    texts: Mapping[Room, str],
    outcomes: Sequence[Outcome],
    seed: int,
    at: str,
    not_covered: Mapping[str, str],
) -> dict[str, Any]:
    """Return what is kept of a proof; ``at`` is its moment (ISO 8601)."""
    cases = [_row(outcome) for outcome in outcomes]
    return {
        "version": VERSION,
        "at": at,
        "site": site.site.id if site.site is not None else "",
        "rulesets": digests(texts),
        "seed": seed,
        "red": sum(not case["green"] for case in cases),
        "cases": cases,
        "not_covered": dict(not_covered),
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    packet = case.packet
    return {
        "id": case.id,
        "room": case.room,
        "way": case.way,
        "words": case.words,
        "sent": f"{packet.source}:{packet.sport} > {packet.target}:{packet.dport} protocol {packet.protocol}"
        f"{' ' + packet.flags if packet.flags else ''}, {len(packet.payload)} octets",
        "must_pass": case.passes,
        "times": case.times,
        "most": case.most,
        "arrived": outcome.got,
        #: How many of them arrive when there are no rules: a packet that could not, shows nothing of them.
        "without_rules": outcome.bare,
        "wall": outcome.wall,
        "green": outcome.green,
    }


def signed(found: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the result with the device's signature in it."""
    made = found | {"device": secrets.key_hash(key.public_key()), "key": _pem(key)}
    signature = key.sign(_PURPOSE + _octets(made), ec.ECDSA(hashes.SHA256()))
    return made | {"signature": base64.b64encode(signature).decode("ascii")}


def verify(path: Path, device: str | None = None) -> dict[str, Any]:
    """Return the result in a file, if it is whole and what it says of itself holds.

    ``device``: the hash of the device key that must have signed it; without it the result's own word is taken.

    Raises:
        BadProof: the first of these that is not so.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_RESULT_BYTES + 1)
    try:
        found = json.loads(data)
        signature = base64.b64decode(found.pop("signature"), validate=True)
        key = serialization.load_pem_public_key(str(found["key"]).encode("ascii"))
        red = sum(case["green"] is not True for case in found["cases"])
        told = (found["version"], found["red"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadProof("proof_form") from None
    if len(data) > MAX_RESULT_BYTES or not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadProof("proof_form")
    if found.get("device") != secrets.key_hash(key) or (device is not None and device != found["device"]):
        raise BadProof("proof_other_device")
    try:
        key.verify(signature, _PURPOSE + _octets(found), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise BadProof("proof_unsigned") from None
    if told != (VERSION, red):
        raise BadProof("proof_form")
    result_: dict[str, Any] = found
    return result_


def write(folder: Path, found: dict[str, Any]) -> None:
    """Keep the result and its page in ``folder``.

    Raises:
        OSError: they could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    durable.write(folder / PAGE, page(found).encode("utf-8"))
    durable.write(folder / RESULT, json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True).encode("utf-8"))


def _octets(found: dict[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode("ascii")


def verdict(found: dict[str, Any], language: words.Language) -> str:
    """Return what a proof shows, in one sentence."""
    code = "proof_page_red" if found["red"] else "proof_page_green"
    return words.sentence(finding(code, cases=len(found["cases"]), red=found["red"]), language)


_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{border:1px solid #c8c8c8;padding:.25rem .5rem;text-align:left;
vertical-align:top}th{background:#f2f2f2}.red{background:#fbe3e3}.big{font-size:1.5rem;font-weight:600}code{font-size:.85em;
word-break:break-all}@media print{body{margin:0}}"""


def page(found: dict[str, Any]) -> str:
    """Return the result as one page that needs nothing else; red cases first."""
    cases = sorted(found["cases"], key=lambda case: (case["green"], case["id"] == "draw"))
    rows = "".join(_line(case) for case in cases)
    rules = "".join(f"<li>{name}: <code>{digest}</code></li>" for name, digest in found["rulesets"].items())
    beyond = "".join(f"<li>{html.escape(i)}: {html.escape(why)}</li>" for i, why in found["not_covered"].items())
    head = "".join(f"<th>{en} {zh}</th>" for en, zh in _COLUMNS)
    return (
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>snowgate {found["site"]}</title>'
        f"<style>{_STYLE}</style><h1>规则验证 Proof of the rules</h1>"
        f'<p class="big">{verdict(found, "zh-CN")}<br>{verdict(found, "en")}</p><p>{html.escape(found["site"])} · {html.escape(found["at"])} · seed {found["seed"]} · '
        f"{len(cases)} packets</p><ul>{rules}</ul><table><tr>{head}</tr>{rows}</table>"
        f"<h2>不由规则决定 What no rule decides</h2><ul>{beyond}</ul></html>\n"
    )


_COLUMNS = (
    ("case", "编号"), ("where", "位置"), ("what was sent", "发送内容"), ("must", "应"), ("arrived", "到达"),
    ("without rules", "无规则时"), ("the rule that decided", "起作用的规则"),
)  # fmt: skip


def _line(case: dict[str, Any]) -> str:
    must = "pass 通过" if case["must_pass"] else "be stopped 拦截"
    cells = (
        case["id"], f"{case['room']} {case['way']}", f"{case['words']}\n{case['sent']}", must,
        f"{case['arrived']}/{case['times']}", case["without_rules"], case["wall"] or "(kernel 内核)",
    )  # fmt: skip
    shown = "".join(f"<td>{html.escape(str(cell)).replace(chr(10), '<br>')}</td>" for cell in cells)
    return f"<tr{'' if case['green'] else ' class=red'}>{shown}</tr>"
