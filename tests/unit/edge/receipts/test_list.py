"""A receipt of each kind as one line for a reader."""

from __future__ import annotations

from typing import Any

import pytest

from edge.receipts.commands import _told

WHO = {"viewer": "张三", "organisation": "34020000002000000001", "level": "city"}
CHAIN = {
    "sequence": 7,
    "boot": "b",
    "monotonic": 1.5,
    "time": "2026-10-01T02:03:04+00:00",
    "previous": "0",
    "hash": "1",
}
AT = {"platform": "34020000002000000001", "recorder": "34020000001180000001", "channel": "34020000001310000001"}
ORDER = (
    CHAIN | WHO | AT | {"event": "ordered", "kind": "ptz", "action": "preset_call", "result": "ordered", "reason": ""}
)


@pytest.mark.parametrize(
    ("said", "shown", "hidden"),
    [
        (ORDER, ("ordered", "preset_call", "ptz"), "The "),
        (ORDER | {"event": "refused", "reason": "right_not_allowed"}, ("refused", "The owner does not allow"), "bytes"),
        (
            CHAIN | WHO | AT | {"event": "ended", "kind": "talk", "bytes": 0, "result": "viewed", "reason": "ended_normally"},
            ("ended", "talk", "The view ended."),
            "action",
        ),
        (
            CHAIN | WHO | AT | {"event": "opened", "kind": "live", "stream": "sub", "asked": "main", "reason": ""},
            ("opened", "live", "sub-stream"),
            "asked",
        ),
        (CHAIN | WHO | AT | {"event": "opened", "kind": "live", "reason": ""}, ("live",), "stream"),
        (CHAIN | {"event": "read", "uid": 0, "what": "list"}, ("uid=0",), "previous"),
    ],
)  # fmt: skip
def test_each_kind_of_receipt_is_one_line(said: dict[str, Any], shown: tuple[str, ...], hidden: str) -> None:
    line = _told(said, "en")
    for part in shown:
        assert part in line
    assert hidden not in line
    assert "\n" not in line
