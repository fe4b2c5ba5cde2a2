"""A message to a report: what was read, what deviates from the standard, or the rule it is refused by. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from typing import Any

from edge.manscdp import messages
from edge.manscdp.reader import RemoteManscdpError
from edge.sdp import description
from edge.sdp.description import RemoteSdpError
from edge.sip import message as sip
from edge.sip.errors import RemoteSipError

KINDS = ("sip", "sdp", "manscdp")
_Y = re.compile(rb"^y=([^\r\n]{0,32})", re.MULTILINE)
Report = dict[str, Any]


def report(kind: str, data: bytes, strict: bool = False) -> Report:
    """Return the report of one message; nothing that ``data`` can be raises.

    ``strict`` refuses, by its first deviation, what is read although the standard says otherwise.
    """
    try:
        what, fields, deviations = _READ[kind](data)
    except (RemoteSipError, RemoteSdpError, RemoteManscdpError) as refused:
        return {"ok": False, "rule": refused.rule, "reason": str(refused)}
    if strict and deviations:
        return {"ok": False, "rule": deviations[0], "reason": "strict: " + ", ".join(deviations)}
    return {"ok": True, "kind": what, "fields": fields, "deviations": deviations}


def _read_sip(data: bytes) -> tuple[str, Report, list[str]]:
    found = sip.parse(data)
    deviations = list(_sip_deviations(data, found))
    fields: Report = {
        "call_id": found.call_id, "cseq": str(found.cseq), "from": str(found.from_), "to": str(found.to),
        "headers": [list(pair) for pair in found.headers],
    }  # fmt: skip
    if isinstance(found, sip.Request):
        what = found.method
        fields |= {"method": found.method, "uri": str(found.uri)}
    else:
        what = f"{found.cseq.method} {found.status}"
        fields |= {"status": found.status, "reason": found.reason}
    inner = _body_kind(found.content_type)
    if found.body and inner is not None:
        body = report(inner, found.body)
        fields["body"] = body
        what += " " + str(body.get("kind", body.get("rule")))
        deviations += body.get("deviations", [])
    elif found.body:
        fields["body_bytes"] = len(found.body)
    return what, fields, deviations


def _body_kind(content_type: str) -> str | None:
    return {"application/sdp": "sdp", "application/manscdp+xml": "manscdp"}.get(content_type)


def _sip_deviations(data: bytes, found: sip.Request | sip.Response) -> Iterator[str]:
    """What RFC 3261 and GB/T 28181 chapter 6 and annex K say otherwise."""
    head = data.partition(b"\r\n\r\n")[0]
    if found.headers.get("content-length") is None:
        yield "no_content_length"
    if not _is_utf8(head):
        yield "header_charset"
    if isinstance(found, sip.Request):
        if found.headers.get("max-forwards") is None:
            yield "no_max_forwards"
        if found.method in ("INVITE", "REGISTER", "SUBSCRIBE") and found.headers.get("contact") is None:
            yield "no_contact"
        if found.method == "INVITE" and found.headers.get("subject") is None:
            yield "no_subject"
    if any(";branch=z9hG4bK" not in via.replace(" ", "") for via in found.headers.all("via")):
        yield "branch_form"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_sdp(data: bytes) -> tuple[str, Report, list[str]]:
    found = description.parse(data)
    deviations = []
    y = _Y.search(data)
    if y is None:
        deviations.append("no_y")
    elif not re.fullmatch(rb"[0-9]{10}", y[1].strip()):
        deviations.append("y_form")
    if not found.origin_id or not re.fullmatch(r"[0-9]{20}", found.origin_id):
        deviations.append("origin_form")
    return found.session_name or "sdp", _plain(found), deviations


def _read_manscdp(data: bytes) -> tuple[str, Report, list[str]]:
    deviations: list[str] = []
    found = messages.decode(data, deviations)
    return f"{found.command} {found.root}", _plain(found), sorted(set(deviations))


def _plain(found: Any) -> Report:
    fields = asdict(found)
    for name in fields:
        value = getattr(found, name)
        if is_dataclass(value) and not isinstance(value, type):
            fields[name] = {"command": type(value).__name__.lower(), **fields[name]}
    return fields


_READ: dict[str, Callable[[bytes], tuple[str, Report, list[str]]]] = {
    "sip": _read_sip,
    "sdp": _read_sdp,
    "manscdp": _read_manscdp,
}
