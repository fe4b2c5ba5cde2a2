"""The program stream map (ISO/IEC 13818-1 2.5.4): which stream holds what, and the same map without descriptors.

Recorders put vendors' descriptors into it, which nobody above understands and which could say anything.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from edge.rtp.ps import crc32

#: Stream types of GB/T 28181-2016 annex C.1 and what 2022 adds.
MPEG4, H264, H265, SVAC = 0x10, 0x1B, 0x24, 0x80
VIDEO_TYPES = frozenset((MPEG4, H264, H265, SVAC))
#: AAC, G.711 A, G.711 u, G.722.1, G.723.1, G.729, SVAC audio.
AUDIO_TYPES = frozenset((0x0F, 0x90, 0x91, 0x92, 0x93, 0x99, 0x9B))
#: Annex C's own map has two entries.
MAX_STREAMS = 8
MAX_MAP_BYTES = 512


@dataclass(frozen=True, slots=True)
class StreamMap:
    """``types``: stream id -> stream type, of those that may be carried; ``clean`` is the map that says only that."""

    types: dict[int, int]
    clean: bytes


@functools.lru_cache(maxsize=64)
def read_map(section: bytes) -> StreamMap | None:
    """Return what a whole map says, from its start code to its CRC; None when its lengths do not fit."""
    if not 16 <= len(section) <= MAX_MAP_BYTES or int.from_bytes(section[4:6], "big") + 6 != len(section):
        return None
    streams = 10 + int.from_bytes(section[8:10], "big") + 2
    end = streams + int.from_bytes(section[streams - 2 : streams], "big")
    if streams + 4 > len(section) or end + 4 != len(section):
        return None
    types: dict[int, int] = {}
    at = streams
    while at < end:
        if at + 4 > end or len(types) >= MAX_STREAMS:
            return None
        kind, stream = section[at], section[at + 1]
        if (stream in range(0xE0, 0xF0) and kind in VIDEO_TYPES) or (
            stream in range(0xC0, 0xE0) and kind in AUDIO_TYPES
        ):
            types[stream] = kind
        at += 4 + int.from_bytes(section[at + 2 : at + 4], "big")
    return StreamMap(types, _clean(section[6] & 0x9F | 0x60, types)) if at == end else None


def _clean(version: int, types: dict[int, int]) -> bytes:
    entries = b"".join(bytes((kind, stream, 0, 0)) for stream, kind in types.items())
    body = bytes((version, 0xFF, 0, 0)) + len(entries).to_bytes(2, "big") + entries
    head = b"\x00\x00\x01\xbc" + (len(body) + 4).to_bytes(2, "big") + body
    return head + crc32(head).to_bytes(4, "big")
