"""A message to a report: what was read, what deviates from the standard, or the rule it is refused by. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

from edge.manscdp import messages
from edge.manscdp.reader import RemoteManscdpError
from edge.mansrtsp import control as mansrtsp
from edge.mansrtsp.control import RemoteMansrtspError
from edge.sdp import description
from edge.sdp.description import RemoteSdpError
from edge.sip import message as sip
from edge.sip.endpoint import is_keep_alive
from edge.sip.errors import RemoteSipError
from edge.sip.stream import Stream

KINDS = ("sip", "sdp", "manscdp")
_Y = re.compile(rb"^y=([^\r\n]{0,32})", re.MULTILINE)
Report = dict[str, Any]


def report(kind: str, data: bytes, strict: bool = False) -> Report:
    """Return the report of one message; nothing that ``data`` can be raises.

    ``strict`` refuses, by its first deviation, what is read although the standard says otherwise.
    """
    try:
        what, fields, deviations = _READ[kind](data)
    except (RemoteSipError, RemoteSdpError, RemoteManscdpError, RemoteMansrtspError) as refused:
        return {"ok": False, "rule": refused.rule, "reason": str(refused)}
    if strict and deviations:
        return {"ok": False, "rule": deviations[0], "reason": "strict: " + ", ".join(deviations)}
    return {"ok": True, "kind": what, "fields": fields, "deviations": deviations}


def _read_sip(data: bytes) -> tuple[str, Report, list[str]]:
    if is_keep_alive(data):
        return "NAT keep-alive", {"bytes": len(data)}, []
    try:
        messages_in_it = Stream().receive(data)
    except RemoteSipError:
        messages_in_it = []
    if len(messages_in_it) > 1:
        reports = [_read_sip(each) for each in messages_in_it]
        deviations = [deviation for _, _, each in reports for deviation in each]
        return " + ".join(what for what, _, _ in reports), {"messages": [each for _, each, _ in reports]}, deviations
    found = sip.parse(data, forgive_length=True)
    deviations = list(found.deviations)
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
    return {
        "application/sdp": "sdp",
        "application/manscdp+xml": "manscdp",
        "application/mansrtsp": "mansrtsp",
        "application/rtsp": "mansrtsp",
    }.get(content_type)


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


def _read_mansrtsp(data: bytes) -> tuple[str, Report, list[str]]:
    if data.startswith(b"RTSP/1.0 "):
        return "MANSRTSP answer", {"status": data[9:12].decode("ascii", "replace")}, []
    found = mansrtsp.parse(data)
    return f"MANSRTSP {found.action}", _plain(found), []


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
    "mansrtsp": _read_mansrtsp,
}
