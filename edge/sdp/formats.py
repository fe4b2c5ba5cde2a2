"""What a description says is in the packets: which of its payload types this gate carries, and what else it names.

GB/T 28181 knows the payload by its name in ``a=rtpmap`` (2016 annex C.2.4). A recorder that sends in its maker's own form
says so there: ``a=rtpmap:96 DAHUA/90000``.
"""

from __future__ import annotations

from edge.sdp.description import NAMES, MediaDescription

#: Encoding names, as they are written, by what we call them; MP2P is the program stream's in RFC 3555, HEVC a vendor's H265.
ENCODINGS = {"PS": "ps", "MP2P": "ps", "H264": "h264", "H265": "h265", "HEVC": "h265"}
#: Payload types below are given away for good (RFC 3551 6).
_DYNAMIC = range(96, 128)


def carried(found: MediaDescription) -> dict[str, int]:
    """Return the payload type of each format that is carried, in the description's own order; the first of each counts."""
    types: dict[str, int] = {}
    for payload_type in found.payload_types:
        name = ENCODINGS.get(_name(found, payload_type))
        if name is not None and payload_type in _DYNAMIC:
            types.setdefault(name, payload_type)
    return types


def named(found: MediaDescription) -> str:
    """Return what a description names its payload, for a person to read: ``DAHUA/90000``; "" where it names nothing."""
    names = dict(reversed(found.rtpmap))
    return next((names[each] for each in found.payload_types if each in names), "")


def _name(found: MediaDescription, payload_type: int) -> str:
    """Return an encoding's name without its clock; of a type that is not named, the standard's."""
    names = NAMES | dict(reversed(found.rtpmap))
    return names.get(payload_type, "").partition("/")[0].upper()
