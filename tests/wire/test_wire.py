"""Oddities of the field and of attackers, kept as files: what the reader makes of each, or the rule it is refused by.

``name.raw`` are the bytes, ``name.json`` what is expected of them. Addresses, serials and passwords are made up.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.manscdp import messages
from edge.manscdp.reader import RemoteManscdpError
from edge.sdp import description
from edge.sdp.formats import carried, named
from edge.sip import message as sip
from edge.sip.errors import RemoteSipError

HERE = Path(__file__).parent
#: Ratchet.
MIN_FILES = 47


def read_sip(data: bytes) -> dict[str, Any]:
    found = sip.parse(data)
    start: dict[str, Any] = {"method": found.method} if isinstance(found, sip.Request) else {"status": found.status}
    return start | {
        "cseq": found.cseq.number,
        "call_id": found.call_id,
        "content_type": found.content_type,
        "from_tag": found.from_.tag,
        "to_tag": found.to.tag,
        "expires": found.number("expires"),
        "body": len(found.body),
    }


def read_sdp(data: bytes) -> dict[str, Any]:
    found = description.parse(data)
    return dataclasses.asdict(found) | {"formats": carried(found), "named": named(found)}


READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "sip": read_sip,
    "sdp": read_sdp,
    "manscdp": lambda data: dataclasses.asdict(messages.decode(data)),
}
FILES = sorted(HERE.glob("*/*.raw"))


def test_the_files_are_there() -> None:
    assert len(FILES) >= MIN_FILES
    assert {path.parent.name for path in FILES} == set(READERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_is_read_as_expected(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_bytes())
    absent = expected.pop("absent", [])
    try:
        found = READERS[path.parent.name](path.read_bytes())
    except (RemoteSipError, description.RemoteSdpError, RemoteManscdpError) as refused:
        found = {"rule": refused.rule}
    assert contains(found, expected), found
    assert not any(text in repr(found) for text in absent)


def contains(found: Any, expected: Any) -> bool:
    """Whether all that ``expected`` says is so; it need not say all."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(k in found and contains(found[k], v) for k, v in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(contains, found, expected))
    return bool(found == expected)
