"""Sound toward a camera: G.711 A-law, of which every octet is sound, so that only how much of it comes is judged."""

from __future__ import annotations

from collections import Counter

from edge.rtp.packet import slices

#: 120 ms at 64 kbit/s; recorders take 20 to 80 ms a packet (GB/T 28181-2016 annex C.2.5).
MAX_SOUND_BYTES = 960


class SoundInspection:
    """The shape of ``edge.rtp.inspection.PsInspection`` for a sound of fixed rate."""

    __slots__ = ("counters", "keys", "left", "pictures", "protected", "types")

    def __init__(self) -> None:
        self.left = 0
        self.types: dict[int, int] = {}
        self.counters: Counter[str] = Counter()
        self.protected = False
        self.pictures = self.keys = 0

    def take(self, data: bytearray, start: int, end: int, marker: bool, gap: bool) -> bytes | None:
        """Judge the payload ``data[start:end]``: None when it goes on, b"" when not."""
        if end - start <= MAX_SOUND_BYTES:
            return None
        self.counters["sound_long"] += end - start
        return b""

    def quick(self, data: bytearray, start: int, end: int) -> int:
        """There is no short way."""
        return -1

    def pieces(self, payload: bytes, room: int) -> list[bytes]:
        """Cut what is too long for one packet."""
        return slices(payload, room)
