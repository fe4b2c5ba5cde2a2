"""The doctor: each check red for its reason, and silent behind its cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.upkeep.doctor import CHECKS, PROGRAMS, Facts, examine, look
from netconf import words

RUNNING = {"state": "RUNNING"}
WELL = Facts(
    keeper={"confirmed": True, "findings": [], "counters": {}, "change": {"pending": None},
            "enrolment": {"enrolled": True, "site": "34020000002008000001"},
            "tunnels": {"wg-a": {"handshake_age_seconds": 20}}},
    said={"siteside": {"recorders": {"34020000001180000001": True}}, "cityside": {"registered": True},
          "ferry": {"findings": []}, "uplink": {"dhcp": None}, "agent": {"control": "answers"}, "enrol": {"state": "idle"}},
    processes=dict.fromkeys(("siteside", "webui", "cityside", "agent"), RUNNING),
    free=0.5, writable=True, now=1_800_000_000.0, floor=1_790_000_000.0,
)  # fmt: skip


def codes(facts: Facts) -> list[str]:
    return [each.code for each in examine(facts)]


def keeper(**more: Any) -> Facts:
    assert WELL.keeper is not None
    return replace(WELL, keeper=WELL.keeper | more)


def said(name: str, **more: Any) -> Facts:
    return replace(WELL, said=WELL.said | {name: WELL.said[name] | more})


CASES = {
    "disk_nearly_full": replace(WELL, free=0.01),
    "disk_read_only": replace(WELL, writable=False),
    "clock_behind": replace(WELL, now=WELL.floor - 100),
    "secret_damaged_named": replace(WELL, damaged_secrets=("wg-a.key",)),
    "keeper_away": replace(WELL, keeper=None),
    "program_not_running": replace(WELL, processes=WELL.processes | {"webui": {"state": "EXITED"}}),
    "program_says_nothing": replace(WELL, said={n: f for n, f in WELL.said.items() if n != "ferry"}),
    "nothing_confirmed": keeper(confirmed=False),
    "change_waits": keeper(change={"pending": {"caller": "web"}}),
    "site_damaged": keeper(findings=[["site_damaged", "", {}]]),
    "tunnel_never": keeper(tunnels={"wg-a": {"handshake_age_seconds": None}}),
    "tunnel_old": keeper(tunnels={"wg-a": {"handshake_age_seconds": 400}}),
    "city_not_registered": said("cityside", registered=False, registration={"server": "100.64.255.10:5060/tcp"}),
    "recorder_silent": said("siteside", recorders={"34020000001180000001": False}),
    "receipts_held": said("ferry", findings=["receipts_held"]),
    "not_enrolled": keeper(enrolment={"enrolled": False, "site": ""}),
    "enrol_waits": replace(
        keeper(enrolment={"enrolled": False, "site": "34020000002008000001"}, tunnels={}),
        said={"uplink": {}, "agent": {}, "enrol": {"state": "pending", "code": "042137"}},
    ),
    "revoked": said("enrol", state="revoked", revoked={"at": 1_800_000_000, "reason": "stolen"}),
    "server_other_ca": said("agent", control="refused", rule="server_other_ca"),
    "somebody_changes": keeper(counters={"rules_put_back": 3}),
}


def test_a_well_box_has_nothing() -> None:
    assert codes(WELL) == []


@pytest.mark.parametrize("code", CASES)
def test_each_thing_is_found_and_has_words_in_both_languages(code: str) -> None:
    found = examine(CASES[code])
    assert [each.code for each in found] == [code]
    for language in ("en", "zh-CN"):
        (line,) = words.report(found, language)  # type: ignore[arg-type]
        assert f"({code})" in line
        assert "?" not in words.sentence(found[0], language), "every fact is there"  # type: ignore[arg-type]
    assert words.sentence(found[0], "zh-CN") != words.sentence(found[0], "en")


def test_what_follows_from_a_cause_is_not_said() -> None:
    down = keeper(tunnels={"wg-a": {"handshake_age_seconds": None}})
    assert codes(replace(down, said=down.said | {"cityside": {"registered": False}})) == ["tunnel_never"]
    behind = replace(keeper(tunnels={"wg-a": {"handshake_age_seconds": 400}}, clock_behind=True), now=WELL.floor - 100)
    assert codes(behind) == ["clock_behind"], "said once"
    full = said("ferry", findings=["receipts_held"])
    assert codes(replace(full, free=0.01)) == ["disk_nearly_full"]


@pytest.mark.parametrize("odd", [{"tunnels": [1]}, {"findings": [1]}, {"findings": 7}, {"counters": "x"}, {"change": 3},
                                 {"tunnels": {"wg-a": {"handshake_age_seconds": "soon"}}}])  # fmt: skip
def test_facts_of_another_form_are_a_finding_and_no_traceback(odd: dict[str, Any]) -> None:
    assert "facts_odd" in codes(keeper(**odd)) or codes(keeper(**odd)) == []


def test_with_everything_away_it_still_says_what_is_wrong(tmp_path: Path) -> None:
    found = codes(look(tmp_path / "run", tmp_path / "state", tmp_path / "secrets"))
    assert "keeper_away" in found
    assert found.count("program_says_nothing") == len(PROGRAMS) - 1, "an agent that nobody started is not missed"
    assert len(CHECKS) == 10


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b'{"programs": 3}', b"[" * 100000, b'{"programs": {"webui": 1}}']
)
def test_damaged_files_are_as_none(tmp_path: Path, data: bytes) -> None:
    for name in ("processes-site.json", "siteside/status.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert "keeper_away" in codes(look(tmp_path, tmp_path, tmp_path))
