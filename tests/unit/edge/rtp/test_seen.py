"""A key picture's head that is recognised is judged as one that is looked into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.rtp.inspection import PsInspection
from edge.rtp.ps import mux
from edge.rtp.psm import H264, H265
from edge.rtp.seen import MAX_SEEN_BYTES, learn

START = b"\x00\x00\x00\x01"
SETS = START + b"\x67" + b"\x4d" * 24 + START + b"\x68" + b"\xee" * 4
SLICE = START + b"\x65" + b"\xa5" * 900


def sei(octets: int) -> bytes:
    return START + b"\x06\x05" + bytes([octets]) + b"\x5a" * octets + b"\x80"


KEYS = {
    "plain": mux(SETS + SLICE, 3600),
    "with supplemental information": mux(SETS + sei(16) + SLICE, 3600),
}


class Looking(PsInspection):
    """Recognises nothing."""

    def _recognise(self, data: bytearray, start: int, end: int) -> int:
        return -1


def seen(inspection: PsInspection, payload: bytes) -> tuple[object, ...]:
    """Return all that can be seen of how a picture in one packet was judged."""
    data = bytearray(12) + payload
    said = inspection.take(data, 12, len(data), True, False)
    heads = inspection._heads
    return (
        said, bytes(data[12:]), inspection.left, dict(inspection.counters), inspection.types,
        inspection.pictures, inspection.keys, heads.budget, heads.busy, inspection._seeking,
    )  # fmt: skip


def changed(unit: bytes) -> Iterator[bytes]:
    """Yield it with each octet of its head changed in some ways, and cut and lengthened."""
    for at in range(len(unit) - 890):
        for other in (unit[at] ^ 0x01, unit[at] ^ 0x80, unit[at] ^ 0x18, 0x00, 0xFF):
            yield unit[:at] + bytes([other]) + unit[at + 1 :]
    for size in range(1, len(unit), 7):
        yield unit[:size]
    yield unit + b"\x00"


@pytest.mark.parametrize("name", KEYS)
def test_whatever_is_changed_in_a_head_that_was_seen_is_judged_as_if_it_never_was(name: str) -> None:
    unit, recognised = KEYS[name], 0
    for payload in changed(unit):
        one = PsInspection()
        assert [seen(one, unit)[0] for _ in range(2)] == [None, None]
        recognised += one._recognise(bytearray(payload), 0, len(payload)) >= 0
        one, other = PsInspection(), Looking()
        for each in (unit, payload, unit):
            assert seen(one, each) == seen(other, each)
    assert recognised > 20, "the clock and the times change from head to head"


def test_a_head_under_another_map_is_not_the_one_that_was_seen() -> None:
    inspection = PsInspection()
    unit = KEYS["plain"]
    for _ in range(2):
        seen(inspection, unit)
    assert inspection._recognise(bytearray(unit), 0, len(unit)) >= 0
    inspection._carry({0xE0: H265})
    assert inspection._recognise(bytearray(unit), 0, len(unit)) < 0


def test_more_supplemental_information_than_a_picture_is_granted_is_looked_into_each_time() -> None:
    unit = mux(SETS + sei(100) + SLICE, 3600)
    assert learn(unit[:MAX_SEEN_BYTES], {0x1E0: H264}) is None
    one, other = PsInspection(), Looking()
    for _ in range(60):
        assert seen(one, unit) == seen(other, unit)
    assert one.counters["sei_blanked"]


def test_the_budget_is_the_same_whether_a_head_was_recognised_or_looked_into() -> None:
    unit = KEYS["with supplemental information"]
    one, other = PsInspection(), Looking()
    for _ in range(30):
        assert seen(one, unit) == seen(other, unit)


@pytest.mark.parametrize("size", range(0, 140, 3))
def test_of_a_head_that_is_cut_nothing_is_learnt(size: int) -> None:
    learn(KEYS["plain"][:size], {0x1E0: H264})
    head = learn(KEYS["plain"], {0x1E0: H264})
    assert head is not None
    data = bytearray(KEYS["plain"])
    assert head.left(data, 0, size) == -1 or size > 110
