"""One GB/T 28181 session description: read leniently, written in one canonical order (v o s u c t m a y f)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

MAX_SDP_BYTES = 4096
MAX_LINES = 64
MAX_ABOUT = 64
_CODE = re.compile(r"[0-9A-Za-z_.\-]{1,32}", re.ASCII)
_RTPMAP = re.compile(r"rtpmap:([0-9]{1,3}) ([A-Za-z0-9_.+\-]{1,32}/[0-9]{1,6}(?:/[0-9])?)", re.ASCII)
_MEDIA = re.compile(r"(video|audio) ([0-9]{1,5}) ([A-Z/0-9]{1,24})((?: [0-9]{1,3}){1,16})\s*", re.ASCII)
_RTCP = re.compile(r"rtcp:([0-9]{1,5})(?: IN IP4 ([0-9.]{7,15}))?", re.ASCII)
_TIMES = re.compile(r"([0-9]{1,10}) ([0-9]{1,10})", re.ASCII)
_SOURCE = re.compile(r"([0-9]{2,20}):([0-9])", re.ASCII)
#: ``v/codec/resolution/frames/kind of rate/kbit a/codec/kbit/sampling``; some write a blank before the a.
_FORM = re.compile(r"(v(?:/[0-9x]{0,9}){5}) ?(a(?:/[0-9]{0,6}){3})", re.ASCII)
MAX_SPEED, MAX_FILE_BYTES = 256, 1 << 44
#: How a stream of a camera is named: by the standard (2022), by Dahua and others, by Hikvision, by TP-LINK; 0 is the main one.
STREAM_ATTRIBUTES = ("streamnumber", "streamprofile", "stream", "streamMode")
_STREAM_WORDS = ("main", "sub")
_STREAM = re.compile(rf"({'|'.join(STREAM_ATTRIBUTES)}):(?:([0-9])|(main|sub))", re.ASCII | re.IGNORECASE)
#: RTP over TCP as the standard writes it (2016 annex L); some write it the other way round.
FRAMED = "TCP/RTP/AVP"
_TRANSPORTS = {"RTP/AVP": "RTP/AVP", FRAMED: FRAMED, "RTP/AVP/TCP": FRAMED}
_NOT_UNICAST = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")))
#: What GB/T 28181 calls the usual dynamic payload types (2016 annex C.2.4; 2022 has H.265).
NAMES = {
    8: "PCMA/8000", 96: "PS/90000", 97: "MPEG4/90000", 98: "H264/90000", 99: "SVAC/90000", 100: "H265/90000",
}  # fmt: skip


class RemoteSdpError(Exception):
    """They sent what is no usable description; ``rule`` names why, ``about`` is the line that is at fault, if one is."""

    def __init__(self, rule: str, about: str = "") -> None:
        super().__init__(rule)
        self.rule = rule
        self.about = about[:MAX_ABOUT]


#: Who dials, as the answer has it (RFC 4145 4.1); whoever may choose lets the other listen.
_ANSWERS = {"active": "passive", "passive": "active", "actpass": "active"}


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """What both sides of a call agree about. ``ssrc`` is ``y=`` as a number, None when absent or malformed."""

    session_name: str
    origin_id: str
    address: str
    port: int
    transport: str = "RTP/AVP"
    media: str = "video"
    payload_types: tuple[int, ...] = (96,)
    rtpmap: tuple[tuple[int, str], ...] = ()
    direction: str = "recvonly"
    setup: str | None = None
    ssrc: int | None = None
    #: Where its RTCP is, if not one above its media (RFC 3605); whether both go by one port (RFC 5761).
    reports: int | None = None
    mux: bool = False
    #: ``t=``: seconds of the epoch, both 0 for what is live.
    start: int = 0
    end: int = 0
    #: ``u=``: whose recordings, and which kind of them (0 all, 1 manual, 2 alarm, 3 time).
    source: str = ""
    source_kind: int | None = None
    #: How many times as fast as it was recorded a download wants to be sent, and how many bytes it has.
    speed: int | None = None
    size: int | None = None
    #: ``f=``: codec, resolution, rates, as the standard writes it; "" when absent or ill-formed.
    form: str = ""
    #: Which stream of the camera, None when nobody says; and by which of ``STREAM_ATTRIBUTES`` it is said.
    stream: int | None = None
    stream_attribute: str = STREAM_ATTRIBUTES[0]

    @classmethod
    def offer(
        cls, *, session_name: str, origin_id: str, address: str, port: int, payload_types: tuple[int, ...], ssrc: int
    ) -> MediaDescription:
        """Return what a receiver asks for."""
        names = tuple((pt, NAMES[pt]) for pt in payload_types if pt in NAMES)
        return cls(session_name, origin_id, address, port, payload_types=payload_types, rtpmap=names, ssrc=ssrc)

    def framed(self, setup: str) -> MediaDescription:
        """Return this offer by TCP; ``setup`` is "active" where we dial, "passive" where we listen (RFC 4145)."""
        return replace(self, transport=FRAMED, setup=setup)

    def of_recording(self, source: str, start: int, end: int, speed: int | None = None) -> MediaDescription:
        """Return this offer for what ``source`` recorded between two times (seconds of the epoch)."""
        return replace(self, source=source, source_kind=0, start=start, end=end, speed=speed)

    def of_stream(self, stream: int, attribute: str) -> MediaDescription:
        """Return this description for one stream of the camera, named by one of ``STREAM_ATTRIBUTES``."""
        return replace(self, stream=stream, stream_attribute=attribute)

    def answer(self, *, origin_id: str, address: str, port: int, payload_type: int, ssrc: int) -> MediaDescription:
        """Return the sender's answer to this offer, with one payload type of it."""
        names = tuple((pt, name) for pt, name in self.rtpmap if pt == payload_type)
        names = names or tuple((pt, name) for pt, name in NAMES.items() if pt == payload_type)
        return replace(
            self,
            origin_id=origin_id,
            address=address,
            port=port,
            payload_types=(payload_type,),
            rtpmap=names,
            direction="sendonly",
            setup=_ANSWERS.get(self.setup or ""),
            ssrc=ssrc,
            reports=None,
        )

    def __bytes__(self) -> bytes:
        lines = ["v=0", f"o={self.origin_id or '-'} 0 0 IN IP4 {self.address}", f"s={self.session_name or '-'}"]
        if self.source:
            lines.append(f"u={self.source}:{self.source_kind or 0}")
        lines += [
            f"c=IN IP4 {self.address}",
            f"t={self.start} {self.end}",
            f"m={self.media} {self.port} {self.transport} {' '.join(map(str, self.payload_types))}",
            f"a={self.direction}",
        ]
        lines += [f"a=rtpmap:{pt} {name}" for pt, name in self.rtpmap]
        if self.setup is not None:
            lines += [f"a=setup:{self.setup}", "a=connection:new"]
        if self.reports is not None:
            lines.append(f"a=rtcp:{self.reports}")
        if self.mux:
            lines.append("a=rtcp-mux")
        if self.stream is not None:
            words = self.stream_attribute == "streamMode"
            named = _STREAM_WORDS[min(self.stream, 1)] if words else self.stream
            lines.append(f"a={self.stream_attribute}:{named}")
        if self.speed is not None:
            lines.append(f"a=downloadspeed:{self.speed}")
        if self.size is not None:
            lines.append(f"a=filesize:{self.size}")
        if self.ssrc is not None:
            lines.append(f"y={self.ssrc:010d}")
        if self.form:
            lines.append(f"f={self.form}")
        return "\r\n".join(lines).encode("ascii") + b"\r\n"


def parse(data: bytes) -> MediaDescription:
    """Read a description; what is not of use is not kept.

    Raises:
        RemoteSdpError: with the rule it breaks.
    """
    if len(data) > MAX_SDP_BYTES:
        raise RemoteSdpError("sdp_long")
    lines = data.replace(b"\r\n", b"\n").strip(b"\n").split(b"\n")
    if len(lines) > MAX_LINES or lines[0].strip() != b"v=0":
        raise RemoteSdpError("sdp_start")
    values = [_line(line) for line in lines if line.strip()]
    media = [value for key, value in values if key == "m"]
    if len(media) != 1:
        raise RemoteSdpError("sdp_media_lines")
    found = _MEDIA.fullmatch(media[0])
    if found is None or found[3] not in _TRANSPORTS or int(found[2]) > 65535:
        raise RemoteSdpError("sdp_media")
    attributes = [value.strip() for key, value in values if key == "a"]
    start, end = _times(_first(values, "t"))
    source, source_kind = _source(_first(values, "u"))
    stream, stream_attribute = _stream(attributes)
    return MediaDescription(
        session_name=_code(_first(values, "s") or ""),
        origin_id=_origin(values),
        address=_address(values),
        port=int(found[2]),
        transport=_TRANSPORTS[found[3]],
        media=found[1],
        payload_types=tuple(int(pt) for pt in found[4].split()),
        rtpmap=tuple((int(m[1]), m[2]) for a in attributes if (m := _RTPMAP.fullmatch(a))),
        direction=next((a for a in attributes if a in ("sendonly", "recvonly", "sendrecv", "inactive")), "sendrecv"),
        setup=next((a[6:] for a in attributes if a in ("setup:active", "setup:passive", "setup:actpass")), None),
        ssrc=_ssrc(_first(values, "y")),
        reports=_reports(attributes, _address(values)),
        mux="rtcp-mux" in attributes,
        start=start,
        end=end,
        source=source,
        source_kind=source_kind,
        speed=_number_after("downloadspeed:", attributes, MAX_SPEED),
        size=_number_after("filesize:", attributes, MAX_FILE_BYTES),
        form=_form(_first(values, "f")),
        stream=stream,
        stream_attribute=stream_attribute,
    )


def _reports(attributes: list[str], address: str) -> int | None:
    """Return the port of ``a=rtcp``; one at another address is not gone to."""
    found = next((m for a in attributes if (m := _RTCP.fullmatch(a))), None)
    if found is None or not 1024 <= int(found[1]) <= 65535:
        return None
    return int(found[1]) if found[2] in (None, address) else None


def _times(value: str | None) -> tuple[int, int]:
    """Return ``t=``; what is ill-formed says nothing. Some recorders answer eight hours off: nobody reads an answer's."""
    found = _TIMES.fullmatch(value or "")
    return (int(found[1]), int(found[2])) if found is not None else (0, 0)


def _source(value: str | None) -> tuple[str, int | None]:
    """Return whose recordings ``u=`` names; a URL, which the standard allows too, is not fetched from by us."""
    found = _SOURCE.fullmatch(value or "")
    return (found[1], int(found[2])) if found is not None else ("", None)


def _stream(attributes: list[str]) -> tuple[int | None, str]:
    """Return which stream is meant, and how it was said; some say it in several ways at once, the standard's comes first."""
    for name in STREAM_ATTRIBUTES:
        for found in filter(None, map(_STREAM.fullmatch, attributes)):
            if found[1].lower() == name.lower():
                return int(found[2] or _STREAM_WORDS.index(found[3].lower())), name
    return None, STREAM_ATTRIBUTES[0]


def _number_after(name: str, attributes: list[str], most: int) -> int | None:
    text = next((a[len(name) :] for a in attributes if a.startswith(name)), "")
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) and int(text) <= most else None


def _form(value: str | None) -> str:
    found = _FORM.fullmatch(value or "")
    return found[1] + found[2] if found is not None else ""


def _line(line: bytes) -> tuple[str, str]:
    text = line.decode("utf-8", "replace")
    if len(text) < 2 or text[1] != "=" or any(ord(c) < 0x20 and c != "\t" for c in text):
        raise RemoteSdpError("sdp_line")
    return text[0], text[2:]


def _first(values: list[tuple[str, str]], key: str) -> str | None:
    return next((value.strip() for k, value in values if k == key), None)


def _origin(values: list[tuple[str, str]]) -> str:
    return _code((_first(values, "o") or "").partition(" ")[0])


def _code(value: str) -> str:
    """Return ``value`` if it is a plain word, else "": nothing else is ever written again."""
    return value if _CODE.fullmatch(value) and value != "-" else ""


def _address(values: list[tuple[str, str]]) -> str:
    """Return the unicast IPv4 address of the connection line; every such line must say the same one."""
    named = {value.strip() for key, value in values if key == "c"}
    if len(named) != 1:
        raise RemoteSdpError("sdp_connection", ", ".join(sorted(named)))
    line = named.pop()
    parts = line.split(" ")
    try:
        address = IPv4Address(parts[2]) if parts[:2] == ["IN", "IP4"] and len(parts) == 3 else None
    except ValueError:
        address = None
    if address is None or any(address in network for network in _NOT_UNICAST):
        raise RemoteSdpError("sdp_connection", line)
    return str(address)


def _ssrc(value: str | None) -> int | None:
    if value is None or not re.fullmatch(r"[0-9]{1,10}", value, re.ASCII) or int(value) > 0xFFFFFFFF:
        return None
    return int(value)
