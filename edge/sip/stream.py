"""SIP over a byte stream (RFC 3261 18.3): octets in, whole messages out. Sans-IO.

On a stream Content-Length says where a message ends, so it is needed and believed; what cannot begin a message ends the
connection, for nothing after it can be found again. Blank lines between messages are keep-alives (RFC 5626 3.5.1): two
of them ask for one back. How long a message may take to arrive is the caller's to watch: ``waiting`` says that one has begun.
"""

from __future__ import annotations

import re

from edge.sip.errors import RemoteSipError
from edge.sip.message import MAX_MESSAGE_BYTES

MAX_HEADER_BYTES = 16384
PING, PONG = b"\r\n\r\n", b"\r\n"
_END = b"\r\n\r\n"
#: A request's method or a status line; anything else (a NAT keep-alive, TLS, HTTP) is none of ours.
_START = re.compile(rb"[A-Z]{1,32} sips?:|SIP/2\.0 ")
_START_BYTES = 40
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,5})[ \t]*(?=\r\n)", re.IGNORECASE)


class Stream:
    """One direction of one connection."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._blank = 0
        self._pings = 0

    @property
    def waiting(self) -> bool:
        """Whether a message has begun and is not whole."""
        return bool(self._data)

    def pings(self) -> int:
        """Return, once, how many keep-alives want an answer (``PONG``)."""
        due, self._pings = self._pings, 0
        return due

    def receive(self, data: bytes) -> list[bytes]:
        """Take octets as they come; return the messages that are whole now.

        Raises:
            RemoteSipError: the connection is to be closed; the rule says why. Messages before it were returned.
        """
        self._data += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        self._skip_blank()
        if not self._data:
            return None
        self._judge_start()
        end = self._data.find(_END)
        if end < 0:
            if len(self._data) > MAX_HEADER_BYTES:
                raise RemoteSipError("stream_header_long", 513)
            return None
        if end > MAX_HEADER_BYTES:
            raise RemoteSipError("stream_header_long", 513)
        lengths = _LENGTH.findall(self._data, 0, end + 2)
        if len(lengths) != 1:
            raise RemoteSipError("stream_content_length", 400)
        size = end + len(_END) + int(lengths[0])
        if size > MAX_MESSAGE_BYTES:
            raise RemoteSipError("message_long", 513)
        if len(self._data) < size:
            return None
        message = bytes(self._data[:size])
        del self._data[:size]
        return message

    def _skip_blank(self) -> None:
        """Between messages only CR LF may stand; each two of them are one ping."""
        while self._data[:2] == b"\r\n":
            del self._data[:2]
            self._blank += 1
            if self._blank == 2:
                self._blank, self._pings = 0, self._pings + 1
        if self._data and self._data != b"\r":
            self._blank = 0

    def _judge_start(self) -> None:
        head = bytes(self._data[:_START_BYTES])
        if head == b"\r" or _START.match(head):
            return
        if len(head) >= _START_BYTES or not _may_start(head):
            raise RemoteSipError("stream_start", 400)


def _may_start(head: bytes) -> bool:
    """Whether more octets could make ``head`` a start."""
    if b"SIP/2.0 ".startswith(head):
        return True
    method, gap, rest = head.partition(b" ")
    if not (1 <= len(method) <= 32 and method.isalpha() and method.isupper()):
        return False
    return not gap or b"sips:".startswith(rest) or b"sip:".startswith(rest)
