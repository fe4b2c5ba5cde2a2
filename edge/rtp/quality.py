"""How good a stream comes: RFC 3550's jitter over its pictures, the way between its key pictures, and what a standard asks.

Jitter is taken of pictures, not of packets: a recorder sends a picture's packets as fast as its port can, all with one
time stamp, so that of a packet in a picture's middle it says how large the picture is. The sample is of the packet in
which a picture's first slice begins. Pure: the caller brings the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

CLOCK_HZ = 90_000
#: What GB/T 28181-2016 5.5 asks of the network. Its delay of 400 ms is not here: it goes one way, and no clock of ours
#: is at its other end.
MAX_JITTER_MS = 50.0
MAX_LOSS_PPM = 1_000
#: Of fewer packets a single lost one is already more than that.
MIN_JUDGED_PACKETS = 1_000
#: 5.3: a picture is at most 4 s old when a user sees it; we take it for how long he may wait for his first one, too.
MAX_FIRST_PICTURE_MS = 4_000
#: A step of the recorder's clock against ours is a pause, a seek or a clock set, not jitter.
MAX_STEP_SECONDS = 5.0
#: RFC 3550 6.4.1: the estimate takes a sixteenth of each difference.
_GAIN = 1 / 16


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one stream or view; None for what is not known (yet)."""

    loss_ppm: int | None = None
    jitter_ms: float | None = None
    first_picture_ms: int | None = None
    key_frame_ms: int | None = None
    kbit_s: int | None = None
    #: By the viewer's own word (RTCP): of a million packets that we sent it, and there and back.
    viewer_loss_ppm: int | None = None
    round_trip_ms: int | None = None


class Meter:
    """The figures of one stream as its pictures come."""

    __slots__ = ("_at", "_jitter", "_key_at", "_key_seconds", "_timestamp")

    def __init__(self) -> None:
        self._at = 0.0
        self._timestamp = -1
        self._jitter: float | None = None
        self._key_at = -1.0
        self._key_seconds = 0.0

    def picture(self, now: float, timestamp: int) -> None:
        """A picture begins, at ``now`` by our clock in seconds and ``timestamp`` by the recorder's in 1/90000 s."""
        before, at = self._timestamp, self._at
        self._timestamp, self._at = timestamp, now
        if before < 0:
            return
        # 32 bits that go round: a step back is one below zero.
        ticks = ((timestamp - before + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        difference = abs(now - at - ticks / CLOCK_HZ)
        if difference <= MAX_STEP_SECONDS:
            jitter = self._jitter or 0.0
            self._jitter = jitter + (difference - jitter) * _GAIN

    def key(self, now: float) -> None:
        """A key picture begins."""
        if self._key_at >= 0:
            self._key_seconds = now - self._key_at
        self._key_at = now

    def last(self) -> tuple[float, int] | None:
        """Return when by our clock the last picture began, and its time stamp; None before the first."""
        return None if self._timestamp < 0 else (self._at, self._timestamp)

    def figures(self) -> Quality:
        """Return the jitter now, and how far the last two key pictures were from each other."""
        jitter = None if self._jitter is None else round(self._jitter * 1000, 1)
        return Quality(jitter_ms=jitter, key_frame_ms=round(self._key_seconds * 1000) or None)


def loss_ppm(packets: int, lost: int) -> int | None:
    """Return how many of a million packets did not come; None while too few are counted."""
    total = packets + lost
    return round(1_000_000 * lost / total) if total >= MIN_JUDGED_PACKETS else None


def verdict(quality: Quality) -> tuple[str, ...]:
    """Return the codes of what is below the standard (``netconf.words``)."""
    limits = (
        ("quality_loss", quality.loss_ppm, MAX_LOSS_PPM),
        ("quality_jitter", quality.jitter_ms, MAX_JITTER_MS),
        ("quality_first_picture", quality.first_picture_ms, MAX_FIRST_PICTURE_MS),
        ("quality_viewer_loss", quality.viewer_loss_ppm, MAX_LOSS_PPM),
    )
    return tuple(code for code, figure, most in limits if figure is not None and figure > most)
