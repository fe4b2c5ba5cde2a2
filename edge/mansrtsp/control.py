"""The body of an INFO that controls a playback: an RTSP request line without a URL, and a few headers (2016 annex B)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 2048
MAX_LINES = 16
#: Positions in milliseconds from the beginning of the recording; 31 days.
MAX_POSITION = 31 * 86_400_000
#: Speeds in hundredths; the standard names 0.25 to 4, recorders offer up to 16 (B.2.8: backwards at least -1).
MIN_SCALE, MAX_SCALE = 6, 6400
ACTIONS = ("PLAY", "PAUSE", "TEARDOWN")
_REQUEST = re.compile(r"(PLAY|PAUSE|TEARDOWN) (?:\S{1,256} )?(?:MANSRTSP|RTSP)/1\.0")
_HEADER = re.compile(r"([A-Za-z\-]{1,32})\s*:\s*(.{0,200})", re.ASCII)
_SCALE = re.compile(r"(-?)([0-9]{1,2})(?:\.([0-9]{1,6}))?", re.ASCII)
_RANGE = re.compile(
    r"npt\s*=\s*(?:(now)|([0-9]{1,7})(?:\.([0-9]{1,6}))?)\s*-\s*(?:[0-9.]{1,14})?\s*", re.ASCII | re.IGNORECASE
)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


class RemoteMansrtspError(Exception):
    """They sent what is no playback control; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class PlaybackRequest:
    """``scale`` in hundredths, negative backwards; ``position`` in milliseconds; None: not spoken of."""

    action: str
    scale: int | None = None
    position: int | None = None
    cseq: int = 0


def parse(body: bytes) -> PlaybackRequest:
    """Read a body.

    Raises:
        RemoteMansrtspError: with the rule it breaks.
    """
    if len(body) > MAX_BYTES:
        raise RemoteMansrtspError("mansrtsp_long")
    try:
        lines = body.decode("ascii").replace("\r\n", "\n").strip("\n ").split("\n")
    except UnicodeDecodeError:
        raise RemoteMansrtspError("mansrtsp_charset") from None
    if len(lines) > MAX_LINES:
        raise RemoteMansrtspError("mansrtsp_long")
    request = _REQUEST.fullmatch(lines[0].strip())
    if request is None:
        raise RemoteMansrtspError("mansrtsp_request")
    headers = _headers(lines[1:])
    cseq = headers.get("cseq", "0")
    if not _NUMBER.fullmatch(cseq):
        raise RemoteMansrtspError("mansrtsp_cseq")
    scale = _scale(headers["scale"]) if "scale" in headers else None
    position = _position(headers["range"]) if "range" in headers else None
    return PlaybackRequest(request[1], scale, position, int(cseq))


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        if not line.strip():
            continue
        found = _HEADER.fullmatch(line.strip())
        if found is None or found[1].lower() in headers:
            raise RemoteMansrtspError("mansrtsp_header")
        headers[found[1].lower()] = found[2].strip()
    return headers


def _scale(text: str) -> int:
    found = _SCALE.fullmatch(text)
    hundredths = int(found[2]) * 100 + int((found[3] or "")[:2].ljust(2, "0")) if found is not None else 0
    if found is None or not MIN_SCALE <= hundredths <= MAX_SCALE:
        raise RemoteMansrtspError("mansrtsp_scale")
    return -hundredths if found[1] else hundredths


def _position(text: str) -> int | None:
    """``now-`` is where it stands: a resumed playback has it, and seeks nothing."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise RemoteMansrtspError("mansrtsp_range")
    if found[1]:
        return None
    position = int(found[2]) * 1000 + int((found[3] or "")[:3].ljust(3, "0"))
    if position > MAX_POSITION:
        raise RemoteMansrtspError("mansrtsp_range")
    return position


def write(request: PlaybackRequest) -> bytes:
    """Return the body: a pause is one of now, a resumed playback goes on at now (B.2.3, B.2.5)."""
    lines = [f"{request.action} RTSP/1.0", f"CSeq: {request.cseq}"]
    if request.action == "PAUSE":
        lines.append("PauseTime: now")
    if request.scale is not None:
        sign, (whole, part) = "-" if request.scale < 0 else "", divmod(abs(request.scale), 100)
        lines.append(f"Scale: {sign}{whole}.{part:02d}".rstrip("0").removesuffix("."))
    if request.position is not None:
        whole, part = divmod(request.position, 1000)
        lines.append(f"Range: npt={whole}" + (f".{part:03d}" if part else "") + "-")
    elif request.action == "PLAY" and request.scale is None:
        lines.append("Range: npt=now-")
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def answer(cseq: int) -> bytes:
    """Return the body of the 200: that it was done (B.2.6)."""
    return f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n".encode("ascii")
