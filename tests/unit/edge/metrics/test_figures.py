"""What a scrape reads: by a strict reader of the format that shares nothing with the writer."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from edge.metrics.exposition import MAX_SAMPLES, Family, text
from edge.metrics.figures import families

LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')
SPOKEN = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(page: str) -> Samples:
    """Read a page as the format's text says, and refuse whatever it does not allow."""
    assert page == "" or page.endswith("\n")
    found: Samples = {}
    helped: set[str] = set()
    typed: dict[str, str] = {}
    current = ""
    for line in page.split("\n")[:-1]:
        if line.startswith("# HELP "):
            current, _, words = line[7:].partition(" ")
            assert words
            assert current not in helped, "one HELP a family, and its lines stand together"
            helped.add(current)
            continue
        if line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current
            assert name not in typed
            assert kind in ("gauge", "counter")
            typed[name] = kind
            continue
        matched = LINE.fullmatch(line)
        assert matched is not None, line
        name, inside, value = matched[1], matched[2] or "", matched[3]
        assert name == current
        assert name in typed
        labels = LABEL.findall(inside)
        assert "".join(m.group() for m in LABEL.finditer(inside)) == inside, line
        assert len({label for label, _ in labels}) == len(labels)
        named = frozenset((k, re.sub(r"\\.", lambda m: SPOKEN[m.group()], v)) for k, v in labels)
        assert (name, named) not in found, "a series stands once"
        found[name, named] = float(value)
        assert typed[name] != "counter" or (name.endswith("_total") and found[name, named] >= 0)
    return found


def one(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"snowgate_{name}", frozenset(labels.items())]


CHANNEL, OTHER, CITY = "34020000001310000001", "34020000001310000003", "34020000002000000001"


def view(channel: str, pull: int, jitter: float | None, *below: str, stream: str = "main") -> dict[str, Any]:
    quality = {"loss_ppm": 250, "jitter_ms": jitter, "first_picture_ms": None, "key_frame_ms": 2000, "kbit_s": 4000}
    quality |= {"viewer_loss_ppm": 1500, "round_trip_ms": 80}
    figures = {"quality": quality | {"below": list(below)}}
    return {"channel": channel, "platform": CITY, "pull": pull, "stream": stream, **figures}


def box() -> dict[str, Any]:
    return {
        "ferry": {
            "views": {"1": view(CHANNEL, 1, 12.0), "2": view(CHANNEL, 1, 60.5, "quality_jitter"), "3": view(OTHER, 3, None)},
            "dropped": {"ps_private": 700, "rtp_late": 3},
            "counters": {"channel_not_shared": 2},
        },
        "cityside": {"platforms": {CITY: {"registered": True}, "34020000002000000002": {"registered": False}}},
        "keeper": {"tunnels": {
            "wg-a": {"handshake_age_seconds": 30, "sent": 10, "received": 20},
            "wg-b": {"handshake_age_seconds": 181, "sent": 0, "received": 0},
            "wg-c": {"handshake_age_seconds": None, "sent": 0, "received": 0},
        }},
    }  # fmt: skip


def test_says_what_stands() -> None:
    said = scraped(text(families(box(), 0.0)))
    assert (one(said, "views"), one(said, "pulls")) == (3, 2)
    here = {"channel": CHANNEL, "platform": CITY, "stream": "main"}
    assert one(said, "channel_views", **here) == 2
    assert one(said, "view_jitter_seconds", **here) == pytest.approx(0.0605), "the worst of both"
    assert one(said, "view_loss_ratio", **here) == pytest.approx(0.00025)
    assert one(said, "view_viewer_loss_ratio", **here) == pytest.approx(0.0015)
    assert one(said, "view_round_trip_seconds", **here) == pytest.approx(0.08)
    assert one(said, "view_bits_per_second", **here) == 8_000_000, "both together"
    assert one(said, "view_key_frame_interval_seconds", **here) == 2
    assert one(said, "view_below_standard", code="quality_jitter", **here) == 1
    assert not any(name == "snowgate_view_first_picture_seconds" for name, _ in said), "nobody has seen one"
    with pytest.raises(KeyError):
        one(said, "view_jitter_seconds", **here | {"channel": OTHER})
    assert one(said, "dropped_total", rule="ps_private") == 700
    assert one(said, "ferry_events_total", rule="channel_not_shared") == 2
    assert one(said, "registered", platform=CITY) == 1
    assert one(said, "registered", platform="34020000002000000002") == 0
    assert [one(said, "tunnel_up", tunnel=f"wg-{name}") for name in "abc"] == [1, 0, 0]
    assert one(said, "tunnel_received_bytes_total", tunnel="wg-a") == 20
    ways = {"wg-a": {"state": "dead"}, "wg-b": {"state": "lives"}, "wg-c": {"state": "unprobed"}}
    facts = box()
    facts["cityside"] = {**facts["cityside"], "tunnel": {"used": "wg-b", "tunnels": ways}}
    said = scraped(text(families(facts, 0.0)))
    assert [one(said, "tunnel_used", tunnel=f"wg-{name}") for name in "abc"] == [0, 1, 0]
    assert [one(said, "tunnel_answers", tunnel=f"wg-{name}") for name in "ab"] == [0, 1]
    assert one(said, "program_up", program="ferry") == 1
    assert one(said, "program_up", program="siteside") == 0


def test_a_sub_stream_is_a_series_of_its_own() -> None:
    facts = box()
    facts["ferry"]["views"]["4"] = view(CHANNEL, 4, 99.0, stream="sub")
    said = scraped(text(families(facts, 0.0)))
    here = {"channel": CHANNEL, "platform": CITY}
    assert one(said, "channel_views", **here, stream="main") == 2
    assert one(said, "channel_views", **here, stream="sub") == 1
    assert one(said, "view_jitter_seconds", **here, stream="main") == pytest.approx(0.0605)
    assert one(said, "view_jitter_seconds", **here, stream="sub") == pytest.approx(0.099)


def test_a_box_that_says_nothing_has_no_figures() -> None:
    said = scraped(text(families({"ferry": None, "keeper": None}, 0.0)))
    assert {name for name, _ in said} == {"snowgate_program_up"}
    assert set(said.values()) == {0.0}


@pytest.mark.parametrize(
    "evil", ['"} 1\nsnowgate_views 9', "a\\", "\\n", "中\n文", "\ud800", "x" * 5000, "a\rb\u2028c"]
)
def test_what_a_program_that_was_taken_over_says_forges_no_series(evil: str) -> None:
    facts = box()
    facts["ferry"]["views"]["9"] = view(evil, 1, 1.0, evil) | {"platform": evil}
    facts["ferry"]["dropped"][evil] = 1
    facts["cityside"]["platforms"][evil] = {"registered": True}
    page = text(families(facts, 0.0))
    said = scraped(page.encode("utf-8").decode("utf-8"))
    assert one(said, "views") == 4
    good = evil.encode("utf-8", "replace").decode()[:128]
    assert one(said, "registered", platform=good) == 1


@pytest.mark.parametrize("wrong", [True, "1", None, [], {}, 1 << 60, float("nan"), float("inf"), -1e300])
def test_what_is_no_number_is_not_said(wrong: object) -> None:
    facts = box()
    facts["ferry"]["dropped"] = {"rtp_late": wrong}
    facts["ferry"]["views"] = {"1": {"quality": {"jitter_ms": wrong, "below": wrong}}, "2": wrong}
    said = scraped(text(families(facts, 0.0)))
    assert not {"snowgate_dropped_total", "snowgate_view_jitter_seconds"} & {name for name, _ in said}


def test_a_family_has_a_bound() -> None:
    family = Family("things", "gauge", "Things.")
    for number in range(MAX_SAMPLES + 10):
        family.put(number, number=str(number))
    assert len(scraped(text([family]))) == MAX_SAMPLES


def test_numbers_are_as_the_format_writes_them() -> None:
    family = Family("things", "gauge", "Things.")
    for name, value in (("a", 1e-7), ("b", float("inf")), ("c", -float("inf")), ("d", float("nan")), ("e", 12)):
        family.put(value, of=name)
    said = scraped(text([family]))
    assert one(said, "things", of="a") == 1e-7
    assert one(said, "things", of="b") == math.inf
    assert math.isnan(one(said, "things", of="d"))


@pytest.mark.parametrize(
    "page",
    [
        "snowgate_a 1\n",
        "# HELP a x\n# TYPE a gauge\na 1",
        '# HELP a x\n# TYPE a gauge\na{b="1"}1\n',
        '# HELP a x\n# TYPE a gauge\na{b="1"} 1\na{b="1"} 2\n',
        '# HELP a x\n# TYPE a gauge\na{b="1" c="2"} 1\n',
        '# HELP a x\n# TYPE a gauge\na{b="\\x"} 1\n',
        "# HELP a x\n# TYPE a counter\na 1\n",
    ],
)
def test_the_reader_is_strict(page: str) -> None:
    with pytest.raises(AssertionError):
        scraped(page)
