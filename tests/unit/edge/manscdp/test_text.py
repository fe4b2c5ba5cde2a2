"""What a person wrote, as it is read: written and read again it is the same, or two boxes in a row would tell it otherwise."""

from __future__ import annotations

import pytest

from edge.manscdp import messages
from edge.manscdp.device import DeviceInfoResponse

BODY = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><CmdType>DeviceInfo</CmdType><SN>1</SN>'
    "<DeviceID>34020000001310000001</DeviceID><DeviceName>{}</DeviceName></Response>"
)


@pytest.mark.parametrize(
    ("written", "read"),
    [("n\u200bull", ""), ("\u200b 北门 \u200b", "北门"), ("a" * 254 + " b", "a" * 254), (" null ", ""), ("a b", "a b")],
)
def test_text_is_read_as_it_would_be_read_again(written: str, read: str) -> None:
    message = messages.decode(BODY.format(written).encode())
    assert isinstance(message, DeviceInfoResponse)
    assert message.name == read
    assert messages.decode(messages.encode(message, 2022)) == message
