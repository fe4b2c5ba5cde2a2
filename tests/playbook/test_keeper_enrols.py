"""The keeper and enrolment: when the hole opens and for whom, what enrol is told, a layer that enrol brings, and the secrets
that come sealed with it, at every point where the power may go.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.control import hole as reasons
from edge.control.wire import (
    Apply,
    AskCity,
    CityAnswer,
    ControlError,
    Done,
    HandOver,
    Keys,
    OpenOut,
    Outcome,
    Proving,
    Refusal,
    Status,
    StatusReport,
    Waiting,
    decode_request,
    encode_request,
)
from edge.keeper.keeper import Folders, Keeper
from edge.lab.street import owner_part
from netconf import durable, envelope, layers, secrets
from netconf.check import read_site
from netconf.enrolment import Bundle
from netconf.sealed import seal
from netconf.unsealed import MAX_PIECES
from tests.playbook.test_keeper import TEXT, Bench, Facts, Hand
from tests.proven import ask

CITY = Ed25519PrivateKey.generate()
SITE_ID, PLATFORM = "34020000002008000001", "34020000002000000001"
UID = 64299
PSK = base64.b64encode(b"p" * 32).decode("ascii")
OTHER_PSK = base64.b64encode(b"q" * 32).decode("ascii")


class LoadingHand(Hand):
    """A hand that remembers the scripts that it was told to load."""

    def ask(self, what: str, *arguments: Any) -> Any:
        if what == "load":
            self.asked.append(f"load {arguments[0]}")
            return None
        return super().ask(what, *arguments)


class House(Bench):
    """A keeper of a box that has the owner's part alone."""

    def again(self) -> House:
        hands: Any = {name: LoadingHand(facts=Facts()) for name in ("lan", "vpn", "wan")}
        keeper = Keeper(hands, {"lan": 1, "vpn": 2}, self.folders, lambda: "b" * 32)
        keeper.restore()
        return House(keeper, hands, self.folders)

    def give(self, **other: Any) -> Bundle:
        key = base64.b64encode(CITY.public_key().public_bytes_raw()).decode("ascii")
        facts = {"site": SITE_ID, "address": "203.0.113.10", "port": 8443, "ca": "0" * 64, "city_key": key}
        bundle = Bundle(**facts | {"claim": "0123abcd." + "a" * 26} | other)
        secrets.keep_bundle(self.folders.secrets, self.folders.secrets.parent / "enrol", bundle, {})
        return bundle

    def keys(self, go: bool = False) -> dict[str, Any]:
        answer = ask(self.keeper, "enrol", Keys(go))
        assert isinstance(answer, StatusReport)
        return answer.facts

    def scripts(self) -> list[str]:
        """What was done about the hole in ``wan`` since the last time."""
        hand = self.hands["wan"]
        found = [
            each for each in hand.asked if each.startswith("load ") and "enrolment" in each and "add chain" not in each
        ]
        hand.asked.clear()
        return found

    def loaded_anew(self) -> dict[str, str]:
        """What is loaded, by namespace, when no rules are there any more."""
        for hand in self.hands.values():
            hand.asked.clear()
        self.keeper._kernel._rules.clear()
        self.keeper.tick()
        return {name: "".join(each.removeprefix("load ") for each in hand.asked if each.startswith("load "))
                for name, hand in self.hands.items()}  # fmt: skip

    def layer(self, *sealed: dict[str, Any], torn: bool = False, **other: Any) -> str:
        """The city's signed layer, each of ``sealed`` a piece of its own."""
        site, _ = read_site(TEXT)
        assert site is not None
        payload = {
            "site": SITE_ID, "device": self.status()["device"], "epoch": 1, "revision": 5,
            "not_after": int(time.time()) + 3600, "layer": layers.split(site)[1],
        } | other  # fmt: skip
        if sealed:
            device = secrets.ensure_device_key(self.folders.device).public_key()
            context = envelope.SEALED_FOR_BOX + (SITE_ID[::-1] if torn else SITE_ID)
            payload["sealed"] = " ".join(seal(json.dumps(each).encode(), device, context) for each in sealed)
        return envelope.sign("layer", payload, CITY)

    def kept(self) -> dict[str, str | None]:
        """The secrets in force."""
        return {
            "psk": secrets.read_preshared_key(self.folders.secrets, "wg-a") or None,
            "sip": secrets.read_password(self.folders.cityside, f"platform-{PLATFORM}"),
        }

    def confirm(self, nonce: str) -> Any:
        facts = {"site": SITE_ID, "device": self.status()["device"], "nonce": nonce}
        self.hands["vpn"].facts.last_handshake = int(time.time()) + 1
        return self.tell("agent", CityAnswer(envelope.sign("answer", facts, CITY)))

    def hand_over(self, text: str) -> Any:
        """As enrol does: it hears that it is being proven, or that it waits."""
        answer = self.ask("enrol", HandOver(text))
        if not isinstance(answer, Proving):
            return answer
        return self.tell_proven(answer)

    def tell_proven(self, answer: Any) -> Any:
        from tests.proven import proven

        return proven(self.keeper, "agent", answer)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("edge.keeper.kernel.wireguard_missing", lambda *_: [])
    monkeypatch.setattr("edge.keeper.enrol.rights.uid_of", lambda user: UID if user == "snowgate-enrol" else None)
    hidden = tmp_path / "secrets"
    folders = Folders(tmp_path / "run", tmp_path / "state", hidden / "keeper", hidden / "device", hidden / "cityside")
    for folder in (folders.run, folders.state, hidden):
        folder.mkdir()
    made = House(None, {}, folders).again()  # type: ignore[arg-type]
    made.keeper._commit._token = lambda: "a" * 32
    assert isinstance(made.tell("operator", Apply(owner_part(TEXT), 0)), Done)
    return made


def rule(answer: Any) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.findings[0].code if answer.findings else answer.rule


# -- the hole --------------------------------------------------------------------------------------------------------


def test_without_a_bundle_there_is_no_hole_and_nothing_of_media(house: House) -> None:
    assert house.keys(go=True)["open"] is False
    assert house.scripts() == []
    assert house.status()["enrolment"]["hole"] == ""
    assert (
        rule(house.ask("ferry", OpenOut("out-1", "100.64.255.10", 5004, "100.64.0.10", 40000, 100, 30)))
        == "pin_without_site"
    )
    assert rule(house.ask("agent", HandOver(house.layer()))) == "city_unknown"


def test_with_a_bundle_it_opens_when_enrol_goes_and_not_when_it_looks(house: House) -> None:
    house.give()
    assert house.keys()["hole"] == "not_enrolled"
    assert house.scripts() == []
    told = house.keys(go=True)
    assert told["open"]
    (script,) = house.scripts()
    assert f"add element inet snowgate enrolment {{ {UID} . 203.0.113.10 . 8443 timeout 60s }}" in script
    assert "add element inet snowgate enrolment_in { 203.0.113.10 . 8443 timeout 60s }" in script
    assert "add element netdev snowgate enrolment { 203.0.113.10 . 8443 timeout 60s }" in script
    assert told["wireguard"].keys() == {"wg-a", "wg-b"}
    assert told["device"] == house.status()["device"]
    assert told["wireguard"] == house.keys()["wireguard"], "made once"


def test_it_is_put_back_behind_rules_that_are_loaded_anew_for_what_is_left_of_it(house: House) -> None:
    house.give()
    house.keys(go=True)
    texts = house.loaded_anew()
    assert texts["wan"].startswith("# wan\n")
    assert "timeout 59s" in texts["wan"], "in the transaction that makes the frames' set anew"
    assert "timeout 59s" not in texts["lan"] + texts["vpn"]
    house.keeper._enrolling._open_until = 0.0
    assert "add element" not in house.loaded_anew()["wan"]


def enrolled(house: House, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of an enrolled box with a tunnel that has had a handshake."""
    now = [time.monotonic()]
    monkeypatch.setattr("edge.keeper.keeper.time.monotonic", lambda: now[0])
    house.give()
    waiting = house.hand_over(house.layer())
    assert isinstance(waiting, Waiting)
    assert isinstance(house.confirm(waiting.token), Done)
    house.keeper.tick()
    house.scripts()
    return now


def test_an_enrolled_box_has_none_until_all_its_tunnels_are_dead_for_half_an_hour(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = enrolled(house, monkeypatch)
    now[0] += reasons.DEAD_SECONDS - 1
    house.keeper.tick()
    assert house.keys(go=True)["hole"] == ""
    assert house.scripts() == []
    now[0] += 2
    house.keeper.tick()
    assert house.keys(go=True)["hole"] == "tunnels_dead"
    assert len(house.scripts()) == 1
    house.hands["vpn"].facts.last_handshake += 100
    house.keeper.tick()
    assert house.keys()["open"] is False, "a handshake shuts it at once"
    (script,) = house.scripts()
    assert "flush set inet snowgate enrolment\n" in script


@pytest.mark.parametrize("caller", ["operator", "web"])
def test_a_person_may_have_the_city_asked_once_the_tunnels_are_dead(
    house: House, monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    now = enrolled(house, monkeypatch)
    assert isinstance(house.ask(caller, AskCity()), Done)
    house.keeper.tick()
    assert house.keys(go=True)["hole"] == "", "a tunnel that lives is the way to ask"
    now[0] += reasons.ASKABLE_SECONDS + 1
    house.keeper.tick()
    assert house.keys(go=True)["hole"] == "asked_for"
    now[0] += reasons.ASKED_SECONDS
    house.keeper.tick()
    assert house.keys(go=True)["hole"] == "", "for five minutes"


@pytest.mark.parametrize("caller", ["agent", "uplink", "ferry", "prove"])
def test_nobody_else_may_ask_for_the_hole_or_the_keys(house: House, caller: str) -> None:
    for request in (Keys(True), AskCity()):
        with pytest.raises(ControlError) as refused:
            decode_request(caller, encode_request(1, request))
        assert refused.value.rule == "request_unknown"
    for request in (Status(), Outcome("a" * 32), AskCity(), CityAnswer("x")):
        with pytest.raises(ControlError):
            decode_request("enrol", encode_request(1, request))


def test_a_box_without_the_user_has_no_hole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.keeper.enrol.rights.uid_of", lambda user: None)
    house.give()
    assert house.keys(go=True)["open"] is False
    assert house.scripts() == []


# -- the first layer -------------------------------------------------------------------------------------------------


def test_what_enrol_brings_the_agent_confirms_after_a_handshake(house: House) -> None:
    house.give()
    waiting = house.hand_over(house.layer())
    assert isinstance(waiting, Waiting)
    assert house.published()["site"]["id"] == SITE_ID, "the daemons have it while it waits"
    assert house.ask("agent", Status()).facts["nonce"] == waiting.token, "the agent takes it over"
    assert house.ask("operator", Status()).facts["nonce"] == "", "and nobody else"
    facts = {"site": SITE_ID, "device": house.status()["device"], "nonce": waiting.token}
    early = CityAnswer(envelope.sign("answer", facts, CITY))
    assert rule(house.tell("agent", early)) == "no_new_handshake"
    assert isinstance(house.confirm(waiting.token), Done)
    assert house.status()["enrolment"]["enrolled"]
    assert house.again().published()["site"]["id"] == SITE_ID


def test_f10_a_trial_that_was_cut_off_is_tried_again_and_one_that_was_kept_is_not(house: House) -> None:
    house.give()
    text = house.layer()
    assert isinstance(house.hand_over(text), Waiting)
    after = house.again()
    assert "site" not in {k: v for k, v in after.published().items() if v}, "pulling the plug is a rollback"
    waiting = after.hand_over(text)
    assert isinstance(waiting, Waiting), "the same layer once more"
    assert isinstance(after.confirm(waiting.token), Done)
    assert rule(after.ask("agent", HandOver(text))) == "layer_old"
    assert rule(after.ask("enrol", HandOver(text))) == "layer_old"


def test_a_layer_for_another_site_device_or_of_nobody_changes_nothing(house: House) -> None:
    house.give()
    before = house.published()
    site, _ = read_site(TEXT)
    assert site is not None
    city = layers.split(site)[1]
    wrong = {
        "layer_other_site": house.layer(layer=city | {"site": city["site"] | {"id": "34020000002008000009"}}),
        "layer_other_device": house.layer(device="0" * 64),
        "city_part_missing": house.layer(layer={name: city[name] for name in ("tunnel", "platform")}),
        "seal_broken": house.layer({}, torn=True),
    }
    for code, text in wrong.items():
        assert rule(house.hand_over(text)) == code
        assert house.published() == before
    assert rule(house.hand_over(house.layer(site="34020000002008000009"))) == "layer_other_site"


def test_the_owners_file_alone_does_not_un_enrol_a_box(house: House) -> None:
    house.give()
    house.confirm(house.hand_over(house.layer()).token)
    text = owner_part(TEXT).replace("192.168.1.2/24", "192.168.1.3/24")
    assert isinstance(house.tell("operator", Apply(text, 0)), Done)
    assert house.published()["lan"]["address"] == "192.168.1.3/24"
    assert house.published()["site"]["id"] == SITE_ID


# -- sealed secrets --------------------------------------------------------------------------------------------------


def test_secrets_come_and_go_with_the_revision_that_they_belong_to(house: House) -> None:
    secrets.write_password(house.folders.cityside, f"platform-{PLATFORM}", "by-hand")
    house.give()
    waiting = house.hand_over(house.layer({"psk": {"wg-a": PSK}, "sip": {PLATFORM: "first"}}))
    assert house.kept() == {"psk": PSK, "sip": "first"}
    house.keeper._commit.reject(waiting.token, "agent")
    assert house.kept() == {"psk": None, "sip": "by-hand"}, "undone, and so are they"
    house.confirm(house.hand_over(house.layer({"psk": {"wg-a": PSK}, "sip": {PLATFORM: "first"}}, revision=6)).token)
    waiting = house.hand_over(house.layer({"psk": {"wg-a": OTHER_PSK}, "sip": {PLATFORM: "second"}}, revision=7))
    assert house.kept() == {"psk": OTHER_PSK, "sip": "second"}
    assert house.again().kept() == {"psk": PSK, "sip": "first"}, "a power cut is a rollback of them, too"


def test_secrets_come_in_pieces_that_are_all_together(house: House) -> None:
    house.give()
    pieces: list[dict[str, Any]] = [
        {"psk": {"wg-a": PSK}, "sip": {}},
        {"psk": {"wg-b": OTHER_PSK}},
        {"sip": {PLATFORM: "x"}},
    ]
    house.confirm(house.hand_over(house.layer(*pieces)).token)
    assert house.kept() == {"psk": PSK, "sip": "x"}
    house.confirm(house.hand_over(house.layer({"psk": {"wg-a": OTHER_PSK}}, revision=6)).token)
    assert house.kept() == {"psk": OTHER_PSK, "sip": None}, "they replace those before as a whole"


def test_pieces_that_contradict_each_other_or_are_too_many_are_not_believed(house: House) -> None:
    house.give()
    one: dict[str, Any] = {"psk": {"wg-a": PSK}}
    assert rule(house.hand_over(house.layer(one, {"psk": {"wg-a": OTHER_PSK}}))) == "seal_broken"
    assert rule(house.hand_over(house.layer(*[one] * (MAX_PIECES + 1)))) == "seal_broken"
    assert house.kept() == {"psk": None, "sip": None}
    assert isinstance(house.hand_over(house.layer(*[one] * MAX_PIECES)), Waiting), "the control"


def test_a_layer_without_new_secrets_leaves_those_before_in_force(house: House) -> None:
    house.give()
    house.confirm(house.hand_over(house.layer({"psk": {"wg-a": PSK}, "sip": {PLATFORM: "first"}})).token)
    house.confirm(house.hand_over(house.layer(revision=6)).token)
    assert house.kept() == {"psk": PSK, "sip": "first"}
    assert house.again().kept() == {"psk": PSK, "sip": "first"}


def test_the_daemons_start_again_when_only_a_secret_is_another(house: House) -> None:
    house.give()
    house.confirm(house.hand_over(house.layer({"psk": {}, "sip": {PLATFORM: "first"}})).token)
    before = (house.folders.run / "site.json").stat().st_ino
    house.confirm(house.hand_over(house.layer({"psk": {}, "sip": {PLATFORM: "second"}}, revision=6)).token)
    assert (house.folders.run / "site.json").stat().st_ino != before
    assert house.kept()["sip"] == "second"


def test_the_ferry_is_left_alone_when_the_change_is_none_of_its_business(house: House) -> None:
    """Every view ends with the ferry: a new control or a tunnel's new key is no reason."""
    house.give()
    house.confirm(house.hand_over(house.layer()).token)

    def files() -> tuple[int, int]:
        told = [(house.folders.run / name).stat().st_ino for name in ("site.json", "ferry.json")]
        return told[0], told[1]

    before = files()
    site, _ = read_site(TEXT)
    assert site is not None
    city = layers.split(site)[1]
    moved = city | {"control": {"address": "100.64.255.11"}}
    house.confirm(house.hand_over(house.layer(layer=moved, revision=6)).token)
    after = files()
    assert after[0] != before[0], "the control: the others begin anew"
    assert after[1] == before[1]
    rights = moved | {"platform": [moved["platform"][0] | {"rights": []}]}
    house.confirm(house.hand_over(house.layer(layer=rights, revision=7)).token)
    assert files()[1] != before[1], "what it decides by is its business"
    house.keeper._store.shut()
    assert not (house.folders.run / "ferry.json").exists()


class PowerCut(BaseException):
    """The plug is out."""


def cutting(real: Any, at: int, after: bool) -> Any:
    """A ``durable.write`` whose ``at``-th call is the last thing that happens, before or after it is durable."""
    left = [at]

    def write(path: Path, data: bytes, mode: int = 0o600) -> None:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise PowerCut
        real(path, data, mode)
        if left[0] == 0:
            raise PowerCut

    return write


@pytest.mark.parametrize("after", [False, True])
def test_f10_a_power_cut_at_any_write_leaves_the_secrets_of_the_revision_that_holds(
    house: House, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    first = {"psk": {"wg-a": PSK}, "sip": {PLATFORM: "first"}}
    second = {"psk": {"wg-a": OTHER_PSK}, "sip": {PLATFORM: "second"}}
    said = {1: {"psk": PSK, "sip": "first"}, 2: {"psk": OTHER_PSK, "sip": "second"}}
    house.give()
    house.confirm(house.hand_over(house.layer(first, revision=1)).token)
    box, real, revision = house.again(), durable.write, 1
    for cut in range(1, 40):
        revision += 1
        text = box.layer(second, revision=revision)
        monkeypatch.setattr(durable, "write", cutting(real, cut, after))
        try:
            box.confirm(box.hand_over(text).token)
        except PowerCut:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(durable, "write", real)
        box = box.again()
        holds = 2 if box.keeper._confirmed().mark == (1, revision) else 1
        assert box.kept() == said[holds], cut
        assert box.published()["site"]["id"] == SITE_ID
        if holds == 2:
            break
    assert box.kept() == said[2]
    assert cut >= 6, "it was cut off at each write before"
