"""A site file: every error at once, each with its path and its sentence in both languages."""

from __future__ import annotations

import ast
import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from netconf import check, words
from netconf.check import read_parsed, read_site
from netconf.compile import desired
from netconf.finding import Severity, finding
from netconf.model import MAX_FINDINGS, Site

ROOT = Path(__file__).parents[3]
GOOD = (ROOT / "edge/lab/site.toml").read_text(encoding="utf-8")


def codes(text: str) -> set[tuple[str, str]]:
    return {(found.code, found.path) for found in read_site(text)[1]}


def test_the_labs_site_is_good_and_survives_json() -> None:
    site, found = read_site(GOOD)
    assert site is not None
    assert not found
    assert Site.model_validate_json(site.model_dump_json(by_alias=True)) == site


SECOND = """[[platform]]
id = "34020000002000000002"
domain = "3402000000"
address = "100.64.255.11"
media_networks = ["100.64.255.0/24"]
"""
CASES = [
    ("ports_same", "/lan/port", 'port = "wan0"', 'port = "lan0"'),
    ("networks_overlap", "/uplink/address", "198.51.100.2/24", "192.168.1.200/24"),
    ("networks_overlap", "/tunnel/0/allowed/0", 'allowed = ["100.64.255.0/24"]', 'allowed = ["192.168.0.0/16"]'),
    ("platform_outside_tunnel", "/platform/0/address", 'address = "100.64.255.10"', 'address = "100.65.0.1"'),
    ("media_outside_tunnel", "/platform/0/media_networks/0", 'media_networks = ["100.64', 'media_networks = ["100.65'),
    ("platform_outside_tunnel", "/platform/0/redirect/0/address", 'rights = ["live"]',
     'rights = ["live"]\nredirect = [{address = "100.65.0.1"}]'),
    ("platform_repeated", "/platform/1/id", "[control]", SECOND.replace("0002\"", "0001\"") + "[control]"),
    ("platform_port_repeated", "/platform/1/local_port", "[control]", SECOND + "[control]"),
    ("id_taken", "/platform/0/id", 'rights = ["live"]', 'rights = ["live"]\nknown_as = "34020000002000000001"'),
    ("outside_lan", "/recorder/0/address", 'address = "192.168.1.10"', 'address = "192.168.2.10"'),
    ("recorder_among_owner", "/recorder/0/address", 'address = "192.168.1.10"', 'address = "192.168.1.70"'),
    ("coverage_b_shared", "/channel/1/share", "share = false", "share = true"),
    ("sub_stream_faster", "/channel/0/sub_mbit", "share = true", "share = true\nsub_stream = true\nmbit = 2\nsub_mbit = 2.5"),
    ("number_low", "/channel/0/sub_mbit", "share = true", "share = true\nsub_mbit = 0.05"),
    ("field_kind", "/channel/0/sub_mbit", "share = true", 'share = true\nsub_mbit = "512"'),
    ("field_choice", "/recorder/0/stream_attribute", "[[recorder]]", '[[recorder]]\nstream_attribute = "streamid"'),
    ("channel_without_recorder", "/channel/0/recorder", '[[channel]]\nrecorder = "3402', '[[channel]]\nrecorder = "3502'),
    ("dns_missing", "/tunnel/0/endpoint", "203.0.113.10:51820", "hub-a.example:51820"),
    ("endpoint_form", "/tunnel/0/endpoint", "203.0.113.10:51820", "203.0.113.400:51820"),
    ("endpoint_form", "/tunnel/0/endpoint", "203.0.113.10:51820", "hub-.example:51820"),
    ("endpoint_form", "/tunnel/0/endpoint", "203.0.113.10:51820", f"{'a' * 64}.example:51820"),
    ("allowed_everything", "/tunnel/0/allowed/0", 'allowed = ["100.64.255.0/24"]', 'allowed = ["0.0.0.0/0"]'),
    ("field_unknown", "/lan/gateway", "[lan]", '[lan]\ngateway = "1.2.3.4"'),
    ("field_missing", "/recorder/0/mac", 'mac = "02:00:00:00:00:10"\n', ""),
    ("id_form", "/site/id", '"34020000002008000001"', '"３４020000002008000001"'),
    ("file_syntax", "", "[site]", "[site"),
    ("gateway_missing", "/uplink/gateway", 'gateway = "198.51.100.1"\n', ""),
    ("endpoint_inside", "/tunnel/0/endpoint", "203.0.113.10:51820", "192.168.1.77:51820"),
    ("endpoint_form", "/tunnel/0/endpoint", "203.0.113.10:51820", "203.0.113.10:65536"),
    ("address_no_host", "/lan/address", "192.168.1.2/24", "192.168.1.255/24"),
    ("address_own", "/uplink/gateway", "198.51.100.1", "198.51.100.2"),
    ("mac_form", "/recorder/0/mac", "02:00:00:00:00:10", "01:00:5e:00:00:10"),
    ("key_form", "/tunnel/0/public_key", "AAA=", "AAB="),
    ("port_name_form", "/tunnel/0/name", "wg-a", "wg.a"),
    ("uplink_mode_not_yet", "/uplink/mode", '"static"', '"pppoe"'),
    ("uplink_mode_not_yet", "/uplink/mode", '"static"', '"4g"'),
    ("uplink_field_given", "/uplink/address", '"static"', '"dhcp"'),
    ("uplink_field_given", "/uplink/gateway", '"static"', '"dhcp"'),
    ("one_arm_ports", "/lan/port", "[lan]", '[lan]\nmode = "one_arm"'),
    ("number_high", "/lan/vlan", "[lan]", "[lan]\nvlan = 4095"),
    ("number_low", "/lan/vlan", "[lan]", "[lan]\nvlan = 0"),
    ("link_name_taken", "/lan/port", '[lan]\nport = "lan0"', '[lan]\nport = "vlan7"\nvlan = 7'),
    ("address_other_side", "/uplink/dns/0", "[uplink]", '[uplink]\ndns = ["192.168.1.1"]'),
    ("gateway_missing", "/uplink/gateway", 'gateway = "198.51.100.1"\n', 'dns = ["203.0.113.53"]\n'),
    ("media_ports_few", "/lan/media_ports", "max_calls = 64", "max_calls = 501"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "path", "old", "new"), CASES, ids=[f"{c[0]}{c[1]}" for c in CASES])
def test_a_fault_is_found_at_its_place(code: str, path: str, old: str, new: str) -> None:
    assert old in GOOD
    assert (code, path) in codes(GOOD.replace(old, new, 1))


SECOND_TUNNEL = """[[tunnel]]
name = "wg-b"
address = "100.64.0.11/32"
endpoint = "203.0.113.11:51820"
public_key = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
allowed = ["100.64.255.0/24"]
probe = "100.64.255.2"

[[platform]]"""
TUNNEL_CASES = [
    ("tunnel_key_repeated", "/tunnel/1/public_key", "B" * 42 + "A=", "A" * 43 + "="),
    ("tunnel_address_repeated", "/tunnel/1/address", "100.64.0.11/32", "100.64.0.10/32"),
    ("tunnel_endpoint_repeated", "/tunnel/1/endpoint", "203.0.113.11:", "203.0.113.10:"),
    ("tunnel_network_repeated", "/tunnel/1/allowed/1", 'allowed = ["100.64.255.0/24"]\nprobe = "100.64.255.2"',
     'allowed = ["100.64.255.0/24", "100.64.255.0/24"]\nprobe = "100.64.255.2"'),
    ("allowed_own", "/tunnel/1/allowed/0", 'allowed = ["100.64.255.0/24"]\nprobe = "100.64.255.2"', 'allowed = ["100.64.0.0/16"]'),
    ("probe_outside_tunnel", "/tunnel/1/probe", '"100.64.255.2"', '"100.65.0.2"'),
    ("address_own", "/tunnel/1/probe", '"100.64.255.2"', '"100.64.0.10"'),
    ("probe_missing", "/tunnel/1/probe", 'probe = "100.64.255.2"\n', ""),
    ("networks_overlap", "/tunnel/1/allowed/0", 'allowed = ["100.64.255.0/24"]\nprobe', 'allowed = ["192.168.1.0/24"]\nprobe'),
    ("key_form", "/tunnel/1/own_key", 'probe = "100.64.255.2"', 'own_key = "AAAA"'),
]  # fmt: skip


@pytest.mark.parametrize(("code", "path", "old", "new"), TUNNEL_CASES, ids=[c[0] for c in TUNNEL_CASES])
def test_two_tunnels_lead_to_one_network_and_are_two(code: str, path: str, old: str, new: str) -> None:
    two = GOOD.replace("[[platform]]", SECOND_TUNNEL, 1).replace(
        "keepalive_seconds = 25", 'keepalive_seconds = 25\nprobe = "100.64.255.1"', 1
    )
    assert not codes(two)
    assert old in two
    assert (code, path) in codes(two.replace(old, new, 1))


ONE_ARM = (
    GOOD.replace('port = "wan0"', 'port = "lan0"')
    .replace("[lan]", '[lan]\nmode = "one_arm"')
    .replace("198.51.100.2/24", "192.168.1.200/24")
    .replace('gateway = "198.51.100.1"', 'gateway = "192.168.1.1"\ndns = ["192.168.1.1"]')
)


def test_on_one_untagged_wire_lan_and_uplink_may_be_one_network_but_no_address_is_two_hosts() -> None:
    site, found = read_site(ONE_ARM)
    assert site is not None, found
    assert not found
    for taken in ("192.168.1.2/24", "192.168.1.10/24"):
        assert ("address_taken", "/uplink/address") in codes(ONE_ARM.replace("192.168.1.200/24", taken))
    assert ("networks_overlap", "/uplink/address") in codes(ONE_ARM.replace("[lan]", "[lan]\nvlan = 20"))


def test_a_tunnel_may_not_be_called_like_a_link_that_the_box_makes() -> None:
    assert ("link_name_taken", "/tunnel/0/name") in codes(ONE_ARM.replace('"wg-a"', '"arm0"'))
    tagged = GOOD.replace("[lan]", "[lan]\nvlan = 7")
    assert ("link_name_taken", "/tunnel/0/name") in codes(tagged.replace('"wg-a"', '"vlan7"'))
    assert not codes(tagged.replace('"wg-a"', '"vlan8"'))


def test_dhcp_and_a_name_are_a_good_site() -> None:
    uplink = GOOD[GOOD.index("[uplink]") : GOOD.index("[lan]")]
    text = GOOD.replace(uplink, '[uplink]\nport = "wan0"\nmode = "dhcp"\n\n').replace("203.0.113.10:", "hub.example:")
    site, found = read_site(text)
    assert site is not None, found
    assert not found
    assert site.tunnel[0].endpoint_address is None


SITES = sorted((ROOT / "tests/sites").glob("*.toml"))


@pytest.mark.parametrize("path", SITES, ids=[path.stem for path in SITES])
def test_a_site_file_has_exactly_the_findings_that_its_head_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = [line.removeprefix("# expect: ") for line in text.splitlines() if line.startswith("# expect: ")]
    site, found = read_site(text)
    assert sorted(f"{f.code} {f.path}" for f in found) == sorted(set(expected) - {"nothing"})
    assert (site is not None) == (expected == ["nothing"])


def test_there_are_site_files() -> None:
    assert len(SITES) >= 3


def test_a_warning_does_not_refuse_the_site() -> None:
    site, found = read_site(GOOD.replace('kind = "gb28181"', 'kind = "onvif"'))
    assert site is not None
    assert [f.code for f in found] == ["recorder_kind_not_yet"]


def test_findings_are_bounded_and_an_error_is_never_cut_off() -> None:
    block = GOOD[GOOD.index("[[recorder]]") : GOOD.index("[[channel]]")].replace('"gb28181"', '"onvif"')
    assert (
        len(read_site(GOOD.replace("[lan]", "[lan]\n" + "".join(f"k{n} = 1\n" for n in range(5000))))[1])
        == MAX_FINDINGS
    )
    site, found = read_site(GOOD + "\n" + block * 63)
    assert site is None
    assert len(found) <= MAX_FINDINGS
    assert found[0].severity is Severity.ERROR


def test_an_error_behind_many_warnings_still_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings = [finding("recorder_kind_not_yet", f"/{n}", Severity.WARNING, kind="rtsp") for n in range(300)]
    monkeypatch.setattr(check, "check", lambda _: iter([*warnings, finding("ports_same", "/lan/port", port="x")]))
    site, found = read_site(GOOD)
    assert site is None
    assert found[0].code == "ports_same"
    assert len(found) == MAX_FINDINGS


def test_a_key_in_a_wrong_place_is_not_repeated_in_the_findings() -> None:
    secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI"
    for old, new in (("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", secret), ('"gb28181"', f'"{secret}"')):
        _, found = read_site(GOOD.replace(old, new))
        assert found
        assert secret not in "".join(words.report(found))


def test_two_recorders_with_one_id_mac_and_address() -> None:
    block = GOOD[GOOD.index("[[recorder]]") : GOOD.index("[[channel]]")]
    found = codes(GOOD + "\n" + block)
    for code in ("recorder_id_repeated", "recorder_mac_repeated", "recorder_address_repeated"):
        assert any(c == code and path.startswith("/recorder/1/") for c, path in found)


def test_all_errors_come_at_once() -> None:
    text = GOOD.replace('port = "wan0"', 'port = "lan0"').replace("share = false", "share = true")
    assert len(codes(text.replace("198.51.100.2/24", "192.168.1.200/24"))) >= 3


#: All signs, those too that a file cannot hold and a JSON text from the control socket can.
ANY = st.characters(exclude_categories=())
LEAVES = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(ANY, max_size=20), st.dates(), st.times(), st.datetimes(),
    st.sampled_from(["0.0.0.0/0", "255.255.255.255", "192.168.1.2/32", "::1", "1.2.3.4:5", "1-2", "9" * 20, "\ud800"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(ANY, max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in steps for place in [(*path, key), *places(inner, (*path, key))]]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    fresh = dict(value) if isinstance(value, dict) else list(value)
    fresh[path[0]] = put(value[path[0]], path[1:], new)
    return fresh


PARSED = tomllib.loads(GOOD)


@given(st.lists(st.tuples(st.sampled_from(places(PARSED)), VALUES), min_size=1, max_size=3))
def test_any_value_in_any_place_is_a_site_or_findings(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    changed = PARSED
    for path, value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            changed = put(changed, path, value)
    site, found = read_parsed(changed)
    for language in ("en", "zh-CN"):
        for line in words.report(found, language):
            assert line.isprintable(), line
            assert "{" not in line.partition(" ")[2].partition(":")[0]
    if site is not None:
        assert Site.model_validate_json(site.model_dump_json(by_alias=True)) == site
        assert len(desired(site)) == 3
    else:
        assert any(f.severity is Severity.ERROR for f in found)


@given(st.text(ANY, max_size=300))
def test_any_text_is_a_site_or_findings(text: str) -> None:
    site, found = read_site(text)
    assert site is not None or found
    assert words.report(found)
    assert words.report(found, "zh-CN")


@given(st.integers(0, len(GOOD) - 1), st.text(ANY, max_size=8))
def test_a_mutilated_site_is_a_site_or_findings(at: int, new: str) -> None:
    site, found = read_site(GOOD[:at] + new + GOOD[at + 3 :])
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


def test_what_a_file_says_cannot_forge_a_line_or_move_the_cursor() -> None:
    _, found = read_site(GOOD.replace("[lan]", '[lan]\n"\\u001b[2J\\nall is well" = 1'))
    (line,) = words.report(found)
    assert line.isprintable()
    assert "\\u001b[2J\\u000aall is well" in line


def test_what_a_tool_says_cannot_either() -> None:
    said = finding("not_held", namespace="lan", what="a\x1b[2J\nall is well")
    for language in ("en", "zh-CN"):
        assert words.sentence(said, language).isprintable()


def test_a_code_of_another_version_is_its_own_sentence() -> None:
    assert words.report([finding("of_tomorrow", "/lan")]) == ["/lan of_tomorrow (of_tomorrow)"]
    assert "?" in words.sentence(finding("ports_same"))


def test_a_findings_facts_are_those_that_its_words_name() -> None:
    """Each call of finding() in the source is read; facts given as ``**`` are not."""
    seen = 0
    for room in ("netconf", "edge", "firewall"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "finding" and node.args:
                    code = node.args[0]
                    if isinstance(code, ast.Constant):
                        given_facts = {str(k.arg) for k in node.keywords} - {"severity", "path"}
                        named = set(re.findall(r"{(\w+)}", "".join(words.TABLE[str(code.value)])))
                        assert named <= given_facts, (path.name, code.value)
                        seen += 1
    assert seen > 20


CALL_REASONS = [
    "channel_unknown",
    "channel_not_shared",
    "channel_not_admitted",
    "right_not_granted",
    "too_many_calls",
    "recorder_offline",
    "recorder_no_answer",
    "recorder_refused",
    "no_media",
    "media_stopped",
    "media_address_foreign",
    "sdp_unacceptable",
    "wrong_password",
    "unknown_device",
    "unknown_address",
    "unknown_peer",
    "pin_refused",
    "ferry_unreachable",
    "ended_normally",
    "cancelled",
]


@pytest.mark.parametrize("code", CALL_REASONS)
def test_a_call_ends_with_a_sentence(code: str) -> None:
    assert words.reason(code) not in ("", code)
    assert words.reason(code, "zh-CN") not in ("", code, words.reason(code))


def test_words_of_both_languages_name_the_same_facts() -> None:
    for code, said in words.TABLE.items():
        assert said.en, code
        assert said.zh, code
        facts = set(re.findall(r"{(\w+)}", said.en))
        assert facts == set(re.findall(r"{(\w+)}", said.zh)), code
    assert words.sentence(finding("ports_same", port="x")) != words.sentence(finding("ports_same", port="x"), "zh-CN")
