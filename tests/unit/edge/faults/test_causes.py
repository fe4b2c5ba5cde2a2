"""Each cause from its evidence, and none of its neighbours: the facts are those that the programs write."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from edge.faults.causes import FRESH_SECONDS, MANY_REFUSALS, STAGES, causes
from edge.faults.evidence import read
from edge.faults.noted import MOST_TROUBLES, Noted
from netconf import words

NVR, CHANNEL, NOW = "34020000001180000001", "34020000001310000001", 10_000.0
MAC, OTHER_MAC = "02:00:00:00:00:10", "02:00:00:00:00:99"
SERVER = "100.64.255.10:5060/tcp"
WELL: dict[str, Any] = {
    "keeper": {
        "tunnels": {"wg-a": {"handshake_age_seconds": 20, "endpoint": "203.0.113.10:51820", "sent": 900, "received": 800}},
        "clock_behind": False, "noted": {"strays": [], "fragments": [], "refusals": [], "moved": []},
    },
    "siteside": {"recorders": {NVR: True}, "listed": {NVR: ["192.168.1.10", MAC]}, "turned_away": [], "troubles": []},
    "cityside": {
        "registered": True, "refused": [],
        "registration": {"registered": True, "id": "34020000002008000001", "server": SERVER, "cause": "", "about": "",
                         "lost_at": 0.0, "tries": 0, "missed": 0, "answers_refused": 0},
    },
    "ferry": {"views": {}},
}  # fmt: skip


def tunnel(behind: bool = False, **facts: Any) -> dict[str, Any]:
    said = copy.deepcopy(WELL)
    said["keeper"]["tunnels"]["wg-a"] |= facts
    said["keeper"]["clock_behind"] = behind
    return said


def lost(cause: str, **facts: Any) -> dict[str, Any]:
    said = copy.deepcopy(WELL)
    said["cityside"]["registered"] = False
    said["cityside"]["registration"] |= {"registered": False, "cause": cause, "lost_at": NOW - 5, "tries": 3, **facts}
    return said


def back(cause: str, **facts: Any) -> dict[str, Any]:
    said = lost(cause, **facts)
    said["cityside"]["registered"] = True
    return said


def offer(reason: str, about: str) -> dict[str, Any]:
    said = copy.deepcopy(WELL)
    said["cityside"]["refused"] = [
        {"channel": "34020000001320000001", "name": "北门", "reason": reason, "about": about, "at": NOW - 5,
         "agreed": ["100.64.255.0/24"]}
    ]  # fmt: skip
    return said


def away(**facts: Any) -> dict[str, Any]:
    said = copy.deepcopy(WELL)
    said["siteside"]["recorders"][NVR] = False
    if facts:
        said["siteside"]["turned_away"] = [
            {"recorder": NVR, "source": "192.168.1.10", "id": NVR, "at": NOW - 5, **facts}
        ]
    return said


def moved(mac: str, address: str, **facts: Any) -> dict[str, Any]:
    said = away(**facts)
    said["keeper"]["noted"]["moved"] = [[MAC, "0.0.0.0", 3, 9], [mac, address, 40, 2]]
    return said


def view(reason: str, noted: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    said = copy.deepcopy(WELL)
    said["siteside"]["troubles"] = [
        {"recorder": NVR, "channel": CHANNEL, "name": "北门", "reason": reason, "status": 0, "about": "", "port": 30004,
         "online": 1, "agreed": ["192.168.1.10"], "at": NOW - 5, **facts}
    ]  # fmt: skip
    said["keeper"]["noted"] |= noted or {}
    return said


CITY = 0x6440FF0A  # 100.64.255.10, as nft tells it


def refusals(*entries: list[int], sink: int = 0, said: dict[str, Any] = WELL) -> dict[str, Any]:
    said = copy.deepcopy(said)
    said["keeper"]["noted"]["refusals"] = list(entries)
    if sink:
        said["ferry"]["views"] = {"7": {"state": "flowing", "sink": [["100.64.0.10", 41000], ["100.64.255.10", sink]]}}
    return said


def probed(state: str) -> dict[str, Any]:
    """Two tunnels whose hands are fresh, and what the probes of the first say."""
    said = tunnel()
    said["keeper"]["tunnels"]["wg-b"] = dict(said["keeper"]["tunnels"]["wg-a"])
    said["cityside"]["tunnel"] = {"used": "wg-b", "tunnels": {
        "wg-a": {"state": state, "answered_seconds": 12}, "wg-b": {"state": "lives", "answered_seconds": 0},
    }}  # fmt: skip
    return said


LATE = {
    "strays": [["192.168.1.77", 30002, 96, 50, 3], ["192.168.1.77", 30004, 96, 50, 300], ["192.168.1.10", 30004, 96, 9, 3]],
    "fragments": [["192.168.1.10", 40, 300], ["192.168.1.99", 40, 3]],
}  # fmt: skip
ELSEWHERE = {"strays": [["192.168.1.77", 30004, 96, 50, 3]]}
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "clock": ("clock_behind", tunnel(behind=True, handshake_age_seconds=None), ""),
    "never shook hands": ("tunnel_never", tunnel(handshake_age_seconds=None, received=0), "203.0.113.10:51820"),
    "hands long ago": ("tunnel_old", tunnel(handshake_age_seconds=400), "400"),
    "a concentrator that does not answer": ("tunnel_dead", probed("dead"), "by wg-b"),
    "tcp refused": ("city_port_refused", lost("dial_refused"), SERVER),
    "udp refused": (
        "city_port_refused",
        refusals([CITY, 3, 5060, 4, 30], said=lost("no_answer", server="100.64.255.10:5060/udp")),
        "5060/udp",
    ),
    "tcp silent": ("city_port_silent", lost("dial_silent"), SERVER),
    "no road": ("city_port_silent", lost("dial_no_road"), SERVER),
    "register unanswered": ("city_register_unanswered", lost("no_answer"), "3 tries"),
    "password": ("city_password_refused", lost("status_401", answers_refused=1), "answered 401"),
    "password, then locked out": ("city_password_refused", lost("status_403", answers_refused=2), "answered 403"),
    "realm": ("city_realm_other", lost("digest_realm", about='Digest realm="other"'), 'realm="other"'),
    "id": ("city_id_refused", lost("status_403", about="Forbidden"), "403 Forbidden"),
    "id not there": ("city_id_refused", lost("status_404", about="Not Found"), "404 Not Found"),
    "other refusal": ("city_registration_refused", lost("status_500", about="Oops"), "500 Oops"),
    "no cause yet": ("city_not_registered", lost(""), SERVER),
    "keepalive": ("city_keepalive_unanswered", lost("keepalive"), SERVER),
    "keepalive refused": ("city_keepalive_unanswered", lost("keepalive_403"), "403"),
    "keepalive of who is back": ("city_keepalive_unanswered", back("keepalive"), SERVER),
    "keepalives unanswered now": ("city_keepalive_unanswered", back("", missed=2), "2 keepalives"),
    "offer 0.0.0.0": ("offer_address_unusable", offer("sdp_connection", "IN IP4 0.0.0.0"), "0.0.0.0"),
    "offer private": ("offer_address_foreign", offer("media_address_foreign", "10.1.2.3"), "10.1.2.3"),
    "offer over tcp": ("offer_not_carried", offer("sdp_unacceptable", "TCP/RTP/AVP 96"), "TCP/RTP/AVP 96"),
    "offer in a maker's own": (
        "offer_encoding_not_carried",
        offer("encoding_not_carried", "DAHUA/90000"),
        "names DAHUA/90000",
    ),
    "city's right": ("right_not_of_city", offer("right_not_granted", "playback"), "playback"),
    "owner's right": ("right_not_of_owner", offer("right_not_allowed", "playback"), "playback"),
    "recorder silent": ("recorder_silent", away(), ""),
    "recorder gone": ("recorder_gone", away(rule="lost_keepalive"), "keepalive"),
    "recorder's password": ("recorder_password_wrong", away(rule="wrong_password"), "192.168.1.10"),
    "recorder's address": (
        "recorder_address_other",
        away(rule="unknown_address", source="192.168.1.77"),
        "192.168.1.77",
    ),
    "recorder's new address": (
        "recorder_address_other",
        moved(MAC, "192.168.1.77"),
        "sends from 192.168.1.77; listed is 192",
    ),
    "recorder's new address, gone before": (
        "recorder_address_other",
        moved(MAC, "192.168.1.77", rule="lost_keepalive"),
        "192.168.1.77",
    ),
    "somebody else's frames": ("recorder_silent", moved(OTHER_MAC, "192.168.1.77"), "192.168.1.10"),
    "recorder replaced": ("recorder_hardware_other", moved(OTHER_MAC, "192.168.1.10"), OTHER_MAC),
    "recorder's id": ("recorder_id_other", away(rule="unknown_device", id="34020000001110000009"), "1110000009"),
    "busy": ("recorder_busy", view("recorder_refused", status=486, about="Busy Here"), "486 Busy Here"),
    "415": ("recorder_refuses_offer", view("recorder_refused", status=415), "415"),
    "488": ("recorder_refuses_offer", view("recorder_refused", status=488), "488"),
    "404": ("recorder_refuses_view", view("recorder_refused", status=404, about="Not Found"), "404 Not Found"),
    "no answer": ("recorder_ignores_view", view("recorder_no_answer"), NVR),
    "answer foreign": ("answer_address_foreign", view("media_address_foreign", about="10.9.9.9"), "10.9.9.9"),
    "answer 0.0.0.0": (
        "answer_address_foreign",
        view("answer_refused", status=488, about="IN IP4 0.0.0.0"),
        "says 0.0.0.0",
    ),
    "answer odd": ("answer_not_carried", view("answer_refused", status=488, about="sdp_media"), "sdp_media"),
    "nothing": ("recorder_sends_nothing", view("no_media"), "30004"),
    "nothing but packets of before": ("recorder_sends_nothing", view("no_media", LATE), "30004"),
    "camera off": ("camera_off", view("no_media", online=0), "OFF"),
    "from elsewhere": (
        "recorder_sends_from_elsewhere",
        view("no_media", ELSEWHERE),
        "50 packets from 192.168.1.77 to port 30004",
    ),
    "H.264": (
        "recorder_sends_other_media",
        view("no_media", {"strays": [["192.168.1.10", 30004, 98, 50, 3]]}),
        "98 H.264",
    ),
    "fragments": (
        "recorder_sends_fragments",
        view("no_media", {"fragments": [["192.168.1.10", 40, 3]]}),
        "40 fragments",
    ),
    "no program stream": ("recorder_sends_no_ps", view("media_foreign"), "30004"),
    "no H.264": ("recorder_sends_no_es", view("media_foreign", format="h264", type=98), "30004"),
    "a maker's own": (
        "answer_encoding_not_carried",
        view("encoding_not_carried", status=488, about="HIKVISION/90000"),
        "names HIKVISION/90000",
    ),
    "not offered": ("answer_format_not_offered", view("format_not_offered", format="h265", type=100), "names H.265"),
    "PS although H.264 was agreed": (
        "recorder_sends_other_media",
        view(
            "no_media",
            {"strays": [["192.168.1.10", 30004, 96, 50, 3], ["192.168.1.10", 30004, 98, 9, 3]]},
            format="h264",
            type=98,
        ),
        "type 96 PS from 34020000001180000001 to port 30004; agreed is 98 (H.264)",
    ),
    "stopped": ("recorder_stopped_sending", view("media_stopped"), "30004"),
    "refused by ICMP, now": ("city_refuses_media", refusals([CITY, 3, 40002, 2, 1], sink=40002), "100.64.255.10"),
    "refused by ICMP, for long": ("city_refuses_media", refusals([CITY, 3, 40002, MANY_REFUSALS, 90]), "port 40002"),
}


def codes(said: dict[str, Any]) -> list[str]:
    return [found.code for found in causes(read(said, NOW))]


def test_a_well_box_has_no_trouble() -> None:
    assert codes(WELL) == []
    assert codes({}) == []


@pytest.mark.parametrize("name", CASES)
def test_each_cause_is_told_alone_with_its_evidence_in_both_languages(name: str) -> None:
    code, said, evidence = CASES[name]
    (found,) = causes(read(said, NOW))
    assert found.code == code
    assert evidence in words.evidence(found)
    for language in ("en", "zh-CN"):
        texts = [put(found, language) for put in (words.sentence, words.evidence, words.advice)]  # type: ignore[arg-type]
        assert not [text for text in texts if "?" in text or "{" in text], "every fact that a sentence names is there"
        assert all(texts) or code == "clock_behind"
    assert words.sentence(found, "zh-CN") != words.sentence(found, "en")


def test_every_code_has_a_stage_words_and_a_case() -> None:
    assert set(STAGES) == {code for code, _, _ in CASES.values()}
    assert set(STAGES.values()) == {"tunnel", "city", "recorders"}
    assert not [code for code in STAGES if code not in words.TABLE]


def test_without_a_tunnel_nothing_that_needs_one_is_told() -> None:
    said = lost("dial_silent") | {"keeper": tunnel(handshake_age_seconds=None)["keeper"]}
    assert codes(said) == ["tunnel_never"]
    assert codes(lost("dial_silent") | {"keeper": None}) == [], "who knows of the tunnel is away"


def test_a_concentrator_that_does_not_answer_hides_nothing_and_is_hidden_by_what_is_worse() -> None:
    assert codes(probed("lives")) == codes(probed("unknown")) == []
    said = probed("dead")
    said["keeper"]["tunnels"]["wg-a"]["handshake_age_seconds"] = 400
    assert codes(said) == ["tunnel_old"]
    said = probed("dead") | {
        "cityside": lost("dial_silent")["cityside"] | {"tunnel": probed("dead")["cityside"]["tunnel"]}
    }
    assert codes(said) == ["tunnel_dead", "city_port_silent"]


def test_one_of_two_tunnels_down_hides_nothing() -> None:
    said = lost("status_404")
    said["keeper"]["tunnels"]["wg-b"] = {"handshake_age_seconds": None, "endpoint": "203.0.113.11:51820"}
    assert codes(said) == ["tunnel_never", "city_id_refused"]


def test_the_views_of_a_recorder_that_is_away_are_not_told() -> None:
    said = view("no_media")
    said["siteside"]["recorders"][NVR] = False
    assert codes(said) == ["recorder_silent"]


def test_what_is_old_is_not_told() -> None:
    old = NOW - FRESH_SECONDS
    assert codes(view("no_media", at=old)) == []
    said = offer("sdp_connection", "")
    said["cityside"]["refused"][0]["at"] = old
    assert codes(said) == []
    assert codes(back("keepalive", lost_at=old)) == []


def test_a_burst_after_a_view_and_a_refusal_of_signalling_are_no_refused_media() -> None:
    assert codes(refusals([CITY, 3, 40002, 6, 20])) == []
    assert codes(refusals([CITY, 3, 40002, 6, 20], sink=40002)) == [], "long ago, and the view flows"
    assert codes(refusals([CITY, 3, 40002, 600, 20], sink=40002)) == [], "another view of before, at the same port"
    assert codes(refusals([CITY, 3, 40002, 600, 121])) == []
    assert codes(refusals([CITY, 3, 5060, 600, 1])) == []


def test_several_troubles_are_told_each_once_causes_first() -> None:
    said = view("no_media")
    said["cityside"] = lost("status_404")["cityside"] | {"refused": offer("sdp_connection", "")["cityside"]["refused"]}
    said["siteside"]["recorders"]["34020000001180000002"] = False
    assert codes(said) == ["city_id_refused", "recorder_silent", "offer_address_unusable", "recorder_sends_nothing"]


def test_several_platforms_are_judged_each() -> None:
    said = copy.deepcopy(WELL)
    said["cityside"] = {"platforms": {"a": lost("dial_refused")["cityside"], "b": WELL["cityside"]}}
    assert codes(said) == ["city_port_refused"]


ODD: list[Any] = [
    1,
    float("inf"),
    float("nan"),
    -1 << 80,
    "x",
    [["1", 1, 1, 1, "x"]],
    [],
    [1],
    {},
    {"a": 1},
    [[]],
    [["a"]],
    [{}],
    None,
    True,
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_facts_of_another_form_count_as_not_said(odd: Any) -> None:
    for program, facts in WELL.items():
        codes({**WELL, program: odd})
        for name in facts:
            codes({**WELL, program: {**facts, name: odd}})
    said = copy.deepcopy(WELL)
    for name in said["keeper"]["noted"]:
        said["keeper"]["noted"][name] = odd
    assert codes(said) == []
    for said in (view("no_media"), lost("status_403"), offer("sdp_connection", ""), away(rule="unknown_address")):
        for program in ("siteside", "cityside"):
            for facts in (*_parts(said[program]),):
                for name, value in list(facts.items()):
                    facts[name] = odd
                    codes(said)
                    facts[name] = value


def _parts(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Every table in a program's facts."""
    inner = [each for value in said.values() if isinstance(value, list) for each in value]
    return [*inner, *(value for value in said.values() if isinstance(value, dict))]


def test_a_side_keeps_few_troubles_and_short_texts() -> None:
    noted = Noted()
    for number in range(MOST_TROUBLES + 5):
        noted.put(number, float(number), about="x" * 5000)
    assert len(noted.told()) == MOST_TROUBLES
    assert noted.told()[0]["at"] == MOST_TROUBLES + 4, "the last one first"
    assert max(len(each["about"]) for each in noted.told()) == 120
    noted.clear(MOST_TROUBLES)
    noted.clear("never there")
    assert len(noted.told()) == MOST_TROUBLES - 1
