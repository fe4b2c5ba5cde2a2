"""SIP messages (RFC 3261 7): one strict reader, one canonical writer.

The reader keeps what the field really sends and refuses what two readers could read differently: bare CR or LF,
folding, blanks before a colon, a header twice that may stand once, lengths that lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from edge.sip.errors import RemoteSipError
from edge.sip.uri import NameAddr, SipUri

MAX_MESSAGE_BYTES = 65535
MAX_HEADERS = 64
MAX_LINE_BYTES = 4096
MAX_METHOD_CHARACTERS = 32
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,5}", re.ASCII)
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.ASCII)
_COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "c": "content-type",
    "l": "Content-Length", "s": "subject", "k": "supported", "e": "content-encoding", "o": "event",
    "content-length": "Content-Length",
}  # fmt: skip
#: Headers that two readers would read differently if they stood twice.
_ONCE = frozenset(
    ("from", "to", "call-id", "cseq", "content-length", "content-type", "max-forwards", "expires", "subject", "event",
     "authorization", "content-encoding")
)  # fmt: skip
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
#: What Python and others take for the end of a line, beside the control characters.
_BREAKS = frozenset("\x85\u2028\u2029")


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in order; names compare without case."""

    fields: tuple[tuple[str, str], ...] = ()
    #: The values of each name, in lower case; filled when first asked for.
    _values: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def get(self, name: str) -> str | None:
        """Return the first value, or None."""
        values = self.by_name().get(name.lower())
        return values[0] if values is not None else None

    def all(self, name: str) -> tuple[str, ...]:
        return self.by_name().get(name.lower(), ())

    def by_name(self) -> dict[str, tuple[str, ...]]:
        """Return the values of each name, in lower case."""
        values = self._values
        if not values:
            for name, value in self.fields:
                lowered = name.lower()
                values[lowered] = (*values[lowered], value) if lowered in values else (value,)
        return values

    def first(self, name: str, value: str) -> Headers:
        """Return headers with one more field in front."""
        return Headers(((name, value), *self.fields))


@dataclass(frozen=True, slots=True)
class CSeq:
    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"

    @staticmethod
    @lru_cache(1024)
    def parse(text: str) -> CSeq:
        """Read a header value.

        Raises:
            RemoteSipError: ``cseq``.
        """
        number, _, method = text.partition(" ")
        if not _NUMBER.fullmatch(number) or int(number) > 0x7FFFFFFF or not method:
            raise RemoteSipError("cseq", 400)
        return CSeq(int(number), method.strip())


@dataclass(frozen=True, slots=True)
class _Message:
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    #: What it was read in spite of.
    deviations: tuple[str, ...] = field(default=(), compare=False, kw_only=True)

    @property
    def call_id(self) -> str:
        return self.headers.get("call-id") or ""

    @property
    def cseq(self) -> CSeq:
        return CSeq.parse(self.headers.get("cseq") or "")

    @property
    def from_(self) -> NameAddr:
        return NameAddr.parse(self.headers.get("from") or "")

    @property
    def to(self) -> NameAddr:
        return NameAddr.parse(self.headers.get("to") or "")

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return (self.headers.get("content-type") or "").partition(";")[0].strip().lower()

    def number(self, name: str) -> int | None:
        """Return a header that holds a whole number.

        Raises:
            RemoteSipError: it holds something else.
        """
        value = self.headers.get(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value):
            raise RemoteSipError(f"{name}_number", 400)
        return int(value)

    def _wire(self, start: str, more: Iterable[tuple[str, str]]) -> bytes:
        lines = [start]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *more) if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Request(_Message):
    method: str = ""
    uri: SipUri = SipUri("", "invalid")

    def __bytes__(self) -> bytes:
        return self._wire(f"{self.method} {self.uri} SIP/2.0", ())

    def with_headers(self, headers: Headers) -> Request:
        return Request(headers, self.body, method=self.method, uri=self.uri, deviations=self.deviations)


@dataclass(frozen=True, slots=True)
class Response(_Message):
    status: int = 0
    reason: str = ""

    def __bytes__(self) -> bytes:
        return self.wire()

    def wire(self, *more: tuple[str, str]) -> bytes:
        """Return the response as octets, with more header fields at the end."""
        return self._wire(f"SIP/2.0 {self.status} {self.reason}", more)


def parse(data: bytes, *, forgive_length: bool = False) -> Request | Response:
    """Read one datagram; what RFC 3261 says otherwise stands in the message's ``deviations``.

    ``forgive_length`` is for looking at records of messages, whose line ends may be others than on the wire. Nobody who
    acts on a message may set it: where one reader stops, another may begin to read a second message.

    Raises:
        RemoteSipError: with the rule it breaks.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteSipError("message_long", 513)
    deviations: list[str] = []
    head, rest = _parts(data, deviations)
    start, *lines = _lines(head)
    if len(lines) > MAX_HEADERS:
        raise RemoteSipError("headers_many", 400)
    headers = Headers(tuple([_field(line) for line in lines]))
    _once(headers)
    try:
        _judge_length(headers, rest, deviations)
    except RemoteSipError:
        if not forgive_length:
            raise
        deviations.append("content_length")
    message = _start(start, headers, rest)
    cseq = message.cseq
    if isinstance(message, Request) and cseq.method != message.method:
        raise RemoteSipError("cseq_method", 400)
    deviations += _missing(head, message)
    return replace(message, deviations=tuple(deviations)) if deviations else message


def _parts(data: bytes, deviations: list[str]) -> tuple[bytes, bytes]:
    """Return header lines and body. Some devices forget the blank line of a message without a body."""
    head, gap, rest = data.partition(b"\r\n\r\n")
    if gap:
        return head, rest
    if not data.endswith(b"\r\n"):
        raise RemoteSipError("no_end_of_headers", 400)
    deviations.append("no_end_of_headers")
    return data[:-2], b""


def _missing(head: bytes, message: Request | Response) -> Iterator[str]:
    """What RFC 3261 and GB/T 28181 (chapter 6, annex K) want beside what is needed."""
    if not head.isascii() and not _is_utf8(head):
        yield "header_charset"
    if isinstance(message, Request):
        if message.headers.get("max-forwards") is None:
            yield "no_max_forwards"
        if message.method in ("INVITE", "REGISTER", "SUBSCRIBE") and message.headers.get("contact") is None:
            yield "no_contact"
        if message.method == "INVITE" and message.headers.get("subject") is None:
            yield "no_subject"
    if any("branch=z9hG4bK" not in via for via in message.headers.all("via")):
        yield "branch_form"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _start(line: str, headers: Headers, body: bytes) -> Request | Response:
    status = _STATUS.fullmatch(line)
    if status is not None:
        return Response(headers, body, status=int(status[1]), reason=status[2] or "")
    parts = line.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]):
        raise RemoteSipError("start_line", 400)
    if parts[2] != "SIP/2.0":
        raise RemoteSipError("sip_version", 505)
    if len(parts[0]) > MAX_METHOD_CHARACTERS:
        raise RemoteSipError("method_long", 405)
    return Request(headers, body, method=parts[0], uri=SipUri.parse(parts[1]))


def _lines(head: bytes) -> list[str]:
    """Return the start line and the header lines as text."""
    raw = head.split(b"\r\n")
    if len(head) > MAX_LINE_BYTES:
        if len(raw[0]) > MAX_LINE_BYTES:
            raise RemoteSipError("start_line", 400)
        if max(map(len, raw)) > MAX_LINE_BYTES:
            raise RemoteSipError("header_long", 400)
    if not head.isascii():
        return [_text(line) for line in raw]
    if _CONTROL.search(head.replace(b"\r\n", b"")):
        raise RemoteSipError("control_character", 400)
    return head.decode("ascii").split("\r\n")


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise RemoteSipError("header_name", 400)
    return _name(name), value.strip(" \t")


@lru_cache(1024)
def _name(name: str) -> str:
    """Return a header's name, the compact form written out; the length's, which is ours to write, in one spelling."""
    if not _TOKEN.fullmatch(name):
        raise RemoteSipError("header_name", 400)
    return _COMPACT.get(name.lower(), name)


def _text(raw: bytes) -> str:
    """Decode a line: UTF-8, else GB18030, which old recorders use in display names."""
    if _CONTROL.search(raw):
        raise RemoteSipError("control_character", 400)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = raw.decode("gb18030")
        except UnicodeDecodeError:
            raise RemoteSipError("charset", 400) from None
    if not _BREAKS.isdisjoint(text):
        raise RemoteSipError("control_character", 400)
    return text


def _once(headers: Headers) -> None:
    values = headers.by_name()
    for name in _NEEDED:
        if name not in values:
            raise RemoteSipError(f"no_{name}", 400)
    if len(values) < len(headers.fields) and any(len(told) > 1 for name, told in values.items() if name in _ONCE):
        raise RemoteSipError("header_twice", 400)


def _judge_length(headers: Headers, rest: bytes, deviations: list[str]) -> None:
    length = headers.get("content-length")
    if length is None:
        deviations.append("no_content_length")
    elif not _LENGTH.fullmatch(length) or int(length) != len(rest):
        raise RemoteSipError("content_length", 400)


def reply(
    request: Request,
    status: int,
    reason: str,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """Return a response that copies what RFC 3261 8.2.6.2 says; ``to_tag`` is added where the request has none."""
    kept = [("Via", value) for value in request.headers.all("via")]
    kept.append(("From", request.headers.get("from") or ""))
    to = request.headers.get("to") or ""
    if to_tag is not None and request.to.tag is None:
        to = f"{to};tag={to_tag}"
    kept += [("To", to), ("Call-ID", request.call_id), ("CSeq", str(request.cseq)), *headers]
    return Response(Headers(tuple(kept)), body, status=status, reason=reason)
