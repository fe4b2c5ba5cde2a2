"""A site file: every error at once, each with its path and its sentence in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from netconf import words
from netconf.check import read_site
from netconf.finding import finding
from netconf.model import Site

ROOT = Path(__file__).parents[3]
GOOD = (ROOT / "edge/lab/site.toml").read_text(encoding="utf-8")


def codes(text: str) -> set[tuple[str, str]]:
    return {(found.code, found.path) for found in read_site(text)[1]}


def test_the_labs_site_is_good_and_survives_json() -> None:
    site, found = read_site(GOOD)
    assert site is not None
    assert not found
    assert Site.model_validate_json(site.model_dump_json(by_alias=True)) == site


CASES = [
    ("ports_same", "/lan/port", 'port = "wan0"', 'port = "lan0"'),
    ("networks_overlap", "/uplink/address", "198.51.100.2/24", "192.168.1.200/24"),
    ("networks_overlap", "/tunnel/0/allowed/0", 'allowed = ["100.64.255.0/24"]', 'allowed = ["192.168.0.0/16"]'),
    ("platform_outside_tunnel", "/platform/address", 'address = "100.64.255.10"', 'address = "100.65.0.1"'),
    ("media_outside_tunnel", "/platform/media_networks/0", 'media_networks = ["100.64', 'media_networks = ["100.65'),
    ("outside_lan", "/recorder/0/address", 'address = "192.168.1.10"', 'address = "192.168.2.10"'),
    ("recorder_among_owner", "/recorder/0/address", 'address = "192.168.1.10"', 'address = "192.168.1.70"'),
    ("coverage_b_shared", "/channel/1/share", "share = false", "share = true"),
    ("channel_without_recorder", "/channel/0/recorder", '[[channel]]\nrecorder = "3402', '[[channel]]\nrecorder = "3502'),
    ("endpoint_name_not_yet", "/tunnel/0/endpoint", "203.0.113.10:51820", "hub-a.example:51820"),
    ("allowed_everything", "/tunnel/0/allowed/0", 'allowed = ["100.64.255.0/24"]', 'allowed = ["0.0.0.0/0"]'),
    ("field_unknown", "/lan/gateway", "[lan]", '[lan]\ngateway = "1.2.3.4"'),
    ("field_missing", "/recorder/0/mac", 'mac = "02:00:00:00:00:10"\n', ""),
    ("field_value", "/site/id", '"34020000002008000001"', '"３４020000002008000001"'),
    ("file_syntax", "", "[site]", "[site"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "path", "old", "new"), CASES, ids=[f"{c[0]}{c[1]}" for c in CASES])
def test_a_fault_is_found_at_its_place(code: str, path: str, old: str, new: str) -> None:
    assert old in GOOD
    assert (code, path) in codes(GOOD.replace(old, new, 1))


def test_two_recorders_with_one_id_mac_and_address() -> None:
    block = GOOD[GOOD.index("[[recorder]]") : GOOD.index("[[channel]]")]
    found = codes(GOOD + "\n" + block)
    for code in ("recorder_id_repeated", "recorder_mac_repeated", "recorder_address_repeated"):
        assert any(c == code and path.startswith("/recorder/1/") for c, path in found)


def test_all_errors_come_at_once() -> None:
    text = GOOD.replace('port = "wan0"', 'port = "lan0"').replace("share = false", "share = true")
    assert len(codes(text.replace("198.51.100.2/24", "192.168.1.200/24"))) >= 3


@given(st.text(max_size=300))
def test_any_text_is_a_site_or_findings(text: str) -> None:
    site, found = read_site(text)
    assert site is not None or found
    assert words.report(found)
    assert words.report(found, "zh-CN")


@given(st.integers(0, len(GOOD) - 1), st.text(max_size=8))
def test_a_mutilated_site_is_a_site_or_findings(at: int, put: str) -> None:
    site, found = read_site(GOOD[:at] + put + GOOD[at + 3 :])
    assert site is not None or words.report(found)


def test_every_field_says_whose_it_is() -> None:
    def walk(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            inner = [a for a in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(a, type)]
            models = [a for a in inner if issubclass(a, BaseModel)]
            for part in models:
                walk(part)
            if not models:
                extra: Any = field.json_schema_extra
                assert extra is not None, f"{model.__name__}.{name}"
                assert extra["owner"] in ("owner", "city"), f"{model.__name__}.{name}"

    walk(Site)


def test_every_code_in_the_source_has_words() -> None:
    used: set[str] = set()
    for room in ("netconf", "edge", "firewall"):
        for path in (ROOT / room).rglob("*.py"):
            used |= set(re.findall(r'finding\(\s*"([a-z_0-9]+)"', path.read_text(encoding="utf-8")))
    assert used
    assert used <= words.TABLE.keys()


def test_words_of_both_languages_name_the_same_facts() -> None:
    for code, said in words.TABLE.items():
        assert said.en, code
        assert said.zh, code
        facts = set(re.findall(r"{(\w+)}", said.en))
        assert facts == set(re.findall(r"{(\w+)}", said.zh)), code
    assert words.sentence(finding("ports_same", port="x")) != words.sentence(finding("ports_same", port="x"), "zh-CN")
