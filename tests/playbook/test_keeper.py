"""Who may change what: the operator, the owner's page, the city's agent; each through its own list and its own layer.

The hands are recorders here (the kernel itself is tested in the lab): what is judged is what the keeper decides.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.control.wire import (
    CALLERS,
    Apply,
    CityAnswer,
    Confirm,
    ControlError,
    Done,
    HandOver,
    Job,
    NextKey,
    Outcome,
    Propose,
    Proving,
    Refusal,
    Reject,
    RotateKey,
    Status,
    StatusReport,
    Waiting,
    Work,
    decode_request,
    encode_request,
)
from edge.keeper.keeper import Folders, Keeper
from edge.lab import topology
from netconf import envelope, layers, secrets
from netconf.check import read_site
from tests.proven import ask, proven, verdict

TEXT = (Path(topology.__file__).with_name("site.toml")).read_text(encoding="utf-8")
CITY = Ed25519PrivateKey.generate()


@dataclass
class Facts:
    last_handshake: int = 0
    public_key: str = ""
    endpoint: str = ""
    received: int = 0
    sent: int = 0


@dataclass
class Hand:
    """A hand in front of a kernel that always holds, or never (``broken``)."""

    broken: bool = False
    asked: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)

    def ask(self, what: str, *_: Any) -> Any:
        self.asked.append(what)
        if what == "missing" and self.broken:
            return ["ip link set lan0 up"]
        answers: dict[str, Any] = {
            "there": True, "cookie": 1, "mac": "02:00:00:00:00:02", "policies": _All(), "shown": "shown",
            "facts": self.facts, "observe_wireguard": _Same(),
        }  # fmt: skip
        return answers.get(what, [])


class _All(frozenset[str]):
    def __rsub__(self, other: Any) -> frozenset[str]:
        return frozenset()


class _Same:
    """A device that is as it should be."""

    listen_port = None
    peers = _All()

    def __getattr__(self, name: str) -> Any:
        return None


@dataclass
class Bench:
    keeper: Keeper
    hands: dict[str, Hand]
    folders: Folders

    def tell(self, caller: str, request: Any) -> Any:
        """Ask over the wire, as the caller would; what needs a proof is proven."""
        return proven(self.keeper, caller, self.ask(caller, request))

    def ask(self, caller: str, request: Any) -> Any:
        """Ask, and have nothing proven."""
        return ask(self.keeper, caller, request)

    def status(self) -> dict[str, Any]:
        answer = self.tell("operator", Status())
        assert isinstance(answer, StatusReport)
        return answer.facts

    @property
    def change(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.status()["change"]
        return facts

    def published(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folders.run / "site.json").read_bytes())
        return found

    def again(self) -> Bench:
        """The box after its plug was pulled."""
        hands: Any = {name: Hand() for name in ("lan", "vpn", "wan")}
        keeper = Keeper(hands, {"lan": 1, "vpn": 2}, self.folders, lambda: "b" * 32)
        keeper.restore()
        return Bench(keeper, hands, self.folders)

    def sign(self, layer: dict[str, Any], key: Ed25519PrivateKey = CITY, **other: Any) -> str:
        payload = {
            "site": self.published()["site"]["id"],
            "device": self.status()["device"],
            "epoch": 1,
            "revision": 5,
            "not_after": int(time.time()) + 3600,
            "layer": layer,
        }
        return envelope.sign("layer", payload | other, key)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("edge.keeper.kernel.wireguard_missing", lambda *_: [])
    hidden = tmp_path / "secrets"
    folders = Folders(tmp_path / "run", tmp_path / "state", hidden, hidden, tmp_path / "cityside")
    for folder in (folders.run, folders.state):
        folder.mkdir()
    secrets.write_city_key(folders.secrets, CITY.public_key())
    made = Bench(None, {}, folders).again()  # type: ignore[arg-type]
    made.keeper._commit._token = lambda: "a" * 32
    assert isinstance(made.tell("operator", Apply(TEXT, 0)), Done)
    return made


def owner_layer(**parts: Any) -> str:
    return json.dumps(parts)


def lan(address: str) -> dict[str, Any]:
    site, _ = read_site(TEXT)
    assert site is not None
    return layers.split(site)[0]["lan"] | {"address": address}


def rules(answer: Any) -> list[str]:
    assert isinstance(answer, Refusal), answer
    return [found.code for found in answer.findings]


# -- confirmed commit ------------------------------------------------------------------------------------------------


def test_a_change_of_the_page_is_kept_by_the_one_who_has_its_token(bench: Bench) -> None:
    base = bench.change["revision"]
    answer = bench.tell("web", Propose(base, owner_layer(lan=lan("192.168.1.3/24")), 60))
    assert answer == Waiting(base + 1, "a" * 32, 60)
    assert bench.published()["lan"]["address"] == "192.168.1.3/24", "the daemons have it while it waits"
    assert rules(bench.tell("web", Confirm("c" * 32))) == ["not_your_change"]
    assert rules(bench.tell("operator", Confirm("a" * 32))) == ["not_your_change"]
    assert isinstance(bench.tell("web", Confirm("a" * 32)), Done)
    assert bench.again().published()["lan"]["address"] == "192.168.1.3/24"


def test_f30_without_its_word_it_is_undone_and_remembered(bench: Bench) -> None:
    base = bench.change["revision"]
    bench.tell("web", Propose(base, owner_layer(lan=lan("192.168.1.3/24")), 10))
    held = bench.keeper._commit.pending
    assert held is not None
    bench.keeper._commit.tick(held.until + 1)
    assert bench.published()["lan"]["address"] == "192.168.1.2/24"
    assert bench.change["failed"][-1]["reason"] == "not_confirmed"
    assert bench.change["revision"] == base


def test_pulling_the_plug_is_a_rollback(bench: Bench) -> None:
    bench.tell("web", Propose(bench.change["revision"], owner_layer(lan=lan("192.168.1.3/24")), 60))
    after = bench.again()
    assert after.published()["lan"]["address"] == "192.168.1.2/24"
    assert after.change["failed"][-1]["reason"] == "power_lost"


def test_two_changes_at_once_and_a_stale_page(bench: Bench) -> None:
    base = bench.change["revision"]
    bench.tell("web", Propose(base, owner_layer(lan=lan("192.168.1.3/24")), 60))
    assert rules(bench.tell("operator", Apply(TEXT, 0))) == ["change_pending"]
    bench.tell("web", Confirm("a" * 32))
    assert rules(bench.tell("web", Propose(base, owner_layer(lan=lan("192.168.1.4/24")), 60))) == ["revision_stale"]


def test_f30_what_does_not_hold_is_undone_at_once(bench: Bench) -> None:
    bench.hands["lan"].broken = True
    answer = bench.tell("web", Propose(bench.change["revision"], owner_layer(lan=lan("192.168.1.3/24")), 60))
    assert isinstance(answer, Refusal)
    assert answer.rule == "change_undone"
    assert rules(answer) == ["not_held"]
    bench.hands["lan"].broken = False
    bench.keeper.tick()
    assert bench.change["state"] == "steady"
    assert bench.published()["lan"]["address"] == "192.168.1.2/24"


def test_root_on_the_box_may_undo_anybodys_change(bench: Bench) -> None:
    bench.tell("web", Propose(bench.change["revision"], owner_layer(lan=lan("192.168.1.3/24")), 60))
    assert isinstance(bench.tell("operator", Reject("0" * 32)), Done)
    assert bench.change["failed"][-1]["reason"] == "rejected"


# -- layers ----------------------------------------------------------------------------------------------------------


def city_layer() -> dict[str, Any]:
    site, _ = read_site(TEXT)
    assert site is not None
    return layers.split(site)[1]


def test_a_city_layer_is_kept_by_the_citys_answer_after_a_new_handshake(bench: Bench) -> None:
    layer = city_layer()
    layer["platform"][0]["keepalive_seconds"] = 30
    layer["tunnel"][0]["keepalive_seconds"] = 20
    waiting = bench.tell("agent", HandOver(bench.sign(layer)))
    assert isinstance(waiting, Waiting)
    facts = {"site": bench.published()["site"]["id"], "device": bench.status()["device"], "nonce": waiting.token}
    answer = CityAnswer(envelope.sign("answer", facts, CITY))
    assert rules(bench.tell("agent", answer)) == ["no_new_handshake"]
    bench.hands["vpn"].facts.last_handshake = int(time.time()) + 1
    wrong = CityAnswer(envelope.sign("answer", facts | {"nonce": "f" * 32}, CITY))
    assert rules(bench.tell("agent", wrong)) == ["answer_other_change"]
    assert isinstance(bench.tell("agent", answer), Done)
    assert bench.published()["platform"][0]["keepalive_seconds"] == 30
    assert bench.change["city_layer"] == [1, 5]
    assert rules(bench.tell("agent", HandOver(bench.sign(layer)))) == ["layer_old"], "it cannot be played again"


def test_c03_a_layer_of_the_city_that_is_not_to_be_believed_changes_nothing(bench: Bench) -> None:
    layer, stranger = city_layer(), Ed25519PrivateKey.generate()
    before = bench.published()
    refused = {
        "layer_unsigned": bench.sign(layer, key=stranger),
        "layer_other_site": bench.sign(layer, site="34020000008000000009"),
        "layer_other_device": bench.sign(layer, device="0" * 64),
        "layer_expired": bench.sign(layer, not_after=int(time.time()) - 1),
        "layer_old": bench.sign(layer, epoch=0, revision=0),
        "layer_owner_field": bench.sign(layer | {"channel": []}),
        "field_unknown": bench.sign(layer | {"script": "rm -rf /"}),
        "layer_fields": "{}",
    }
    for rule, text in refused.items():
        assert rule in rules(bench.tell("agent", HandOver(text))), rule
    assert bench.published() == before
    assert bench.change["state"] == "steady"
    # The control: the same layer, well signed, is taken.
    assert isinstance(bench.tell("agent", HandOver(bench.sign(layer))), Waiting)


@pytest.mark.parametrize("allowed", ["0.0.0.0/0", "192.168.0.0/16"])
def test_w02_a_city_that_lost_its_wits_cannot_open_the_tunnel_wide(bench: Bench, allowed: str) -> None:
    layer = city_layer()
    layer["tunnel"][0]["allowed"] = [allowed, *layer["tunnel"][0]["allowed"]]
    assert {"allowed_everything", "networks_overlap"} & set(rules(bench.tell("agent", HandOver(bench.sign(layer)))))


def test_w02_a_peer_key_that_is_our_own_is_refused(bench: Bench) -> None:
    layer = city_layer()
    name = layer["tunnel"][0]["name"]
    layer["tunnel"][0]["public_key"] = secrets.ensure_wireguard_key(bench.folders.secrets, name)
    answer = bench.tell("agent", HandOver(bench.sign(layer)))
    assert rules(answer) == ["tunnel_key_own"]


def test_a_tunnels_key_is_exchanged_by_a_layer_of_the_city(bench: Bench) -> None:
    layer = city_layer()
    name, folder = layer["tunnel"][0]["name"], bench.folders.secrets
    old = secrets.ensure_wireguard_key(folder, name)
    following = bench.tell("agent", RotateKey(name, ""))
    assert isinstance(following, NextKey)
    assert bench.tell("agent", RotateKey(name, "")) == following
    assert following.public_key != old
    bench.keeper.tick()
    assert secrets.ensure_wireguard_key(folder, name) == old, "nobody has named it"
    layer["tunnel"][0]["own_key"] = following.public_key
    waiting = bench.tell("agent", HandOver(bench.sign(layer)))
    assert isinstance(waiting, Waiting)
    bench.keeper.tick()
    assert secrets.ensure_wireguard_key(folder, name) == old, "it waits for its word"
    bench.hands["vpn"].facts.last_handshake = int(time.time()) + 1
    answer = {"site": bench.published()["site"]["id"], "device": bench.status()["device"], "nonce": waiting.token}
    assert isinstance(bench.tell("agent", CityAnswer(envelope.sign("answer", answer, CITY))), Done)
    for _ in range(2):
        bench.keeper.tick()
        assert secrets.ensure_wireguard_key(folder, name) == following.public_key
    assert bench.tell("agent", RotateKey(name, "")).public_key not in (old, following.public_key)


def test_an_exchange_that_is_undone_leaves_the_old_key(bench: Bench) -> None:
    layer = city_layer()
    name, folder = layer["tunnel"][0]["name"], bench.folders.secrets
    old = secrets.ensure_wireguard_key(folder, name)
    layer["tunnel"][0]["own_key"] = bench.tell("agent", RotateKey(name, "")).public_key
    assert isinstance(bench.tell("agent", HandOver(bench.sign(layer))), Waiting)
    after = bench.again()
    after.keeper.tick()
    assert secrets.ensure_wireguard_key(folder, name) == old
    assert after.published()["tunnel"][0]["own_key"] is None


def test_a_next_key_that_the_city_does_not_take_is_replaced_unless_a_layer_names_it(bench: Bench) -> None:
    """Its exchange was undone once: the city never takes the same key again."""
    layer = city_layer()
    name = layer["tunnel"][0]["name"]
    first = bench.tell("agent", RotateKey(name, "")).public_key
    assert bench.tell("agent", RotateKey(name, "C" * 42 + "A=")).public_key == first, "it was another that was refused"
    second = bench.tell("agent", RotateKey(name, first)).public_key
    assert second != first
    layer["tunnel"][0]["own_key"] = second
    assert isinstance(bench.tell("agent", HandOver(bench.sign(layer))), Waiting)
    assert bench.tell("agent", RotateKey(name, second)).public_key == second


def test_a_key_that_the_box_does_not_have_is_refused(bench: Bench) -> None:
    layer = city_layer()
    layer["tunnel"][0]["own_key"] = "C" * 42 + "A="
    answer = bench.tell("agent", HandOver(bench.sign(layer)))
    assert rules(answer) == ["tunnel_own_key_unknown"]
    layer["tunnel"][0]["own_key"] = secrets.ensure_wireguard_key(bench.folders.secrets, layer["tunnel"][0]["name"])
    assert isinstance(bench.tell("agent", HandOver(bench.sign(layer))), Waiting), "the control: the one it has"


def test_a_key_of_a_tunnel_that_is_none_is_not_made(bench: Bench) -> None:
    assert rules(bench.tell("agent", RotateKey("wg-z", ""))) == ["tunnel_unknown"]
    assert list(bench.folders.secrets.glob("*.next")) == []
    with pytest.raises(ControlError, match="request_tunnel"):
        decode_request("agent", encode_request(1, RotateKey("../x", "")))
    with pytest.raises(ControlError, match="request_tunnel"):
        decode_request("agent", encode_request(1, RotateKey("wg-a", "x")))
    with pytest.raises(ControlError, match="request_unknown"):
        decode_request("web", encode_request(1, RotateKey("wg-a", "")))


def test_what_the_city_has_signed_cannot_be_changed_on_the_box(bench: Bench) -> None:
    waiting = bench.tell("agent", HandOver(bench.sign(city_layer())))
    bench.hands["vpn"].facts.last_handshake = int(time.time()) + 1
    facts = {"site": bench.published()["site"]["id"], "device": bench.status()["device"], "nonce": waiting.token}
    bench.tell("agent", CityAnswer(envelope.sign("answer", facts, CITY)))
    answer = bench.tell("operator", Apply(TEXT.replace("keepalive_seconds = ", "keepalive_seconds = 1"), 0))
    assert set(rules(answer)) == {"layer_city_field"}
    assert isinstance(bench.tell("operator", Apply(TEXT, 0)), Done), "the owner's part alone may differ"


def test_the_owner_cannot_touch_what_is_the_citys(bench: Bench) -> None:
    answer = bench.tell("web", Propose(bench.change["revision"], owner_layer(platform={}), 60))
    assert rules(answer) == ["layer_city_field"]


def test_a_box_that_knows_no_city_takes_no_layer(bench: Bench) -> None:
    text = bench.sign(city_layer())
    (bench.folders.secrets / "city.pub").unlink()
    assert rules(bench.tell("agent", HandOver(text))) == ["city_unknown"]


# -- callers ---------------------------------------------------------------------------------------------------------


def test_each_caller_has_its_own_list() -> None:
    asked = [Apply("", 0), Propose(1, "", 10), HandOver(""), CityAnswer(""), Confirm("a" * 32)]
    for caller, allowed in CALLERS.items():
        for request in asked:
            if type(request) in allowed:
                decode_request(caller, encode_request(1, request))
            else:
                with pytest.raises(ControlError, match="request_unknown"):
                    decode_request(caller, encode_request(1, request))


def test_a_bit_that_rotted_is_found_and_the_copy_serves(bench: Bench) -> None:
    journal = bench.folders.state / "journal.json"
    raw = bytearray(journal.read_bytes())
    raw[len(raw) // 2] ^= 1
    journal.write_bytes(bytes(raw))
    assert bench.again().published()["lan"]["address"] == "192.168.1.2/24"
    (bench.folders.state / "journal.copy.json").write_bytes(bytes(raw))
    lost = bench.again()
    assert [code for code, _, _ in lost.status()["findings"]] == ["site_damaged"]
    assert not lost.status()["confirmed"]


def test_f14_whatever_bit_rots_the_box_comes_back_on_a_revision_that_was_confirmed(bench: Bench) -> None:
    """A thousand boxes, each with one bit turned somewhere in what it kept."""
    for address in ("192.168.1.3/24", "192.168.1.4/24"):
        bench.tell("web", Propose(bench.change["revision"], owner_layer(lan=lan(address)), 60))
        assert isinstance(bench.tell("web", Confirm("a" * 32)), Done)
    kept = sorted(path for path in bench.folders.state.rglob("*.json"))
    assert len(kept) >= 4
    chance = random.Random(14)  # noqa: S311 - a test's
    seen = set()
    for _ in range(1000):
        path = chance.choice(kept)
        raw = path.read_bytes()
        at, bit = chance.randrange(len(raw)), 1 << chance.randrange(8)
        path.write_bytes(raw[:at] + bytes((raw[at] ^ bit,)) + raw[at + 1 :])
        seen.add(bench.again().published()["lan"]["address"])
        path.write_bytes(raw)
    assert seen <= {"192.168.1.3/24", "192.168.1.4/24"}
    assert "192.168.1.4/24" in seen


def test_f20_a_clock_that_fell_to_1970_does_not_make_an_expired_layer_young(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.keeper.tick()
    expired = bench.sign(city_layer(), not_after=int(time.time()) - 60)
    good = bench.sign(city_layer(), not_after=int(time.time()) + 3600)
    monkeypatch.setattr("edge.keeper.keeper.time.time", lambda: 0.0)
    assert rules(bench.tell("agent", HandOver(expired))) == ["layer_expired"]
    assert isinstance(bench.tell("agent", HandOver(good)), Waiting)


# -- proofs ----------------------------------------------------------------------------------------------------------


def moved(bench: Bench) -> Propose:
    """A change of the page that changes rules."""
    return Propose(bench.change["revision"], owner_layer(lan=lan("192.168.1.3/24")), 60)


def loaded(bench: Bench) -> int:
    return sum(hand.asked.count("load") for hand in bench.hands.values())


def test_a_change_of_rules_is_applied_when_exactly_these_are_proven(bench: Bench) -> None:
    before, loads = bench.published(), loaded(bench)
    answer = bench.ask("web", moved(bench))
    assert isinstance(answer, Proving)
    assert 80 <= answer.seconds <= 90
    assert bench.change["state"] == "proving"
    job = bench.ask("prove", Work(0))
    assert isinstance(job, Job)
    assert [hashlib.sha256(text.encode("utf-8")).hexdigest() for text in job.texts] == list(job.digests)
    assert json.loads(job.site_text)["lan"]["address"] == "192.168.1.3/24"
    carry_on = bench.ask("prove", Work(job.revision))
    assert isinstance(carry_on, Proving)
    assert carry_on.token == "", "the prover can do nothing with the change"
    bench.keeper.tick()
    assert isinstance(bench.ask("web", Outcome(answer.token)), Proving)
    assert (bench.published(), loaded(bench)) == (before, loads), "nothing of it is applied yet"
    assert bench.ask("prove", verdict(job)) == Done()
    assert isinstance(bench.ask("web", Outcome(answer.token)), Waiting)
    assert bench.published()["lan"]["address"] == "192.168.1.3/24"
    assert loaded(bench) > loads
    assert bench.ask("prove", Work(0)) == Done(), "there is nothing more to prove"


@pytest.mark.parametrize(("result", "rule"), [("red", "proof_red"), ("none", "proof_missing")])
def test_a_change_that_fails_its_proof_is_refused_and_nothing_was_touched(bench: Bench, result: str, rule: str) -> None:
    before, loads, revision = bench.published(), loaded(bench), bench.change["revision"]
    for caller, request in (
        ("web", moved(bench)),
        ("operator", Apply(TEXT.replace("192.168.1.2/24", "192.168.1.3/24"), 0)),
    ):
        answer = proven(bench.keeper, caller, bench.ask(caller, request), result)
        assert (answer.rule, rules(answer)) == (rule, [rule])
        if result == "red":
            assert dict(answer.findings[0].args) == {"count": "2", "cases": "K07, R3", "page": "page.html"}
        bench.keeper.tick()
        assert (bench.published(), loaded(bench)) == (before, loads)
        assert (bench.change["state"], bench.change["revision"]) == ("steady", revision)
        assert bench.change["failed"][-1]["reason"] == rule
        assert bench.change["failed"][-1]["caller"] == caller
    assert bench.again().published() == before


def test_a_city_layer_waits_for_its_proof_as_well(bench: Bench) -> None:
    layer = city_layer()
    layer["tunnel"][0]["endpoint"] = "198.51.100.1:51999"
    answer = bench.ask("agent", HandOver(bench.sign(layer)))
    assert isinstance(answer, Proving)
    facts = {"site": bench.published()["site"]["id"], "device": bench.status()["device"], "nonce": answer.token}
    bench.hands["vpn"].facts.last_handshake = int(time.time()) + 1
    assert rules(bench.ask("agent", CityAnswer(envelope.sign("answer", facts, CITY)))) == ["proof_running"]
    assert rules(proven(bench.keeper, "agent", answer, "red")) == ["proof_red"]
    assert bench.published()["tunnel"][0]["endpoint"] != "198.51.100.1:51999"


def test_a_verdict_upon_other_rules_or_none_is_worth_nothing(bench: Bench) -> None:
    answer = bench.ask("web", moved(bench))
    job = bench.ask("prove", Work(0))
    for wrong in (
        replace(verdict(job), digests=("0" * 64, *job.digests[1:])),
        replace(verdict(job), digests=job.digests[::-1]),
        replace(verdict(job), revision=job.revision + 1),
    ):
        assert rules(bench.ask("prove", wrong)) == ["verdict_other"]
        assert isinstance(bench.ask("web", Outcome(answer.token)), Proving)
    bench.ask("prove", verdict(job, "red"))
    assert rules(bench.ask("prove", verdict(job))) == ["verdict_stale"], "red stays red"
    assert bench.published()["lan"]["address"] == "192.168.1.2/24"


def test_a_change_that_leaves_the_rules_as_they_are_waits_for_nothing(bench: Bench) -> None:
    site, _ = read_site(TEXT)
    assert site is not None
    channels = [{**channel, "share": False} for channel in layers.split(site)[0]["channel"]]
    answer = bench.ask("web", Propose(bench.change["revision"], owner_layer(channel=channels), 60))
    assert isinstance(answer, Waiting)
    assert not any(channel["share"] for channel in bench.published()["channel"])


def test_what_was_proven_last_is_not_proven_again(bench: Bench) -> None:
    bench.tell("web", moved(bench))
    bench.tell("web", Reject("a" * 32))
    assert isinstance(bench.ask("web", moved(bench)), Waiting)


def test_a_prover_that_says_nothing_is_not_waited_for(bench: Bench) -> None:
    before = bench.published()
    answer = bench.ask("web", moved(bench))
    for _ in range(20):
        bench.keeper.tick()
        bench.ask("prove", Work(0))
    assert isinstance(bench.ask("web", Outcome(answer.token)), Proving), "as long as it speaks, it is"
    for _ in range(20):
        bench.keeper.tick()
    assert rules(bench.ask("web", Outcome(answer.token))) == ["proof_missing"]
    assert bench.published() == before


def test_a_proof_that_does_not_end_is_not_waited_for(bench: Bench) -> None:
    answer = bench.ask("web", moved(bench))
    job = bench.ask("prove", Work(0))
    held = bench.keeper._commit.pending
    assert held is not None
    bench.keeper._commit.tick(held.until)
    assert rules(bench.ask("web", Outcome(answer.token))) == ["proof_missing"]
    assert rules(bench.ask("prove", verdict(job))) == ["verdict_stale"]
    assert bench.ask("prove", Work(job.revision)) == Done(), "the prover hears that it is over"


def test_the_plug_pulled_while_it_is_proven_and_a_start_waits_for_no_proof(bench: Bench) -> None:
    bench.ask("web", moved(bench))
    after = bench.again()
    assert after.published()["lan"]["address"] == "192.168.1.2/24"
    assert after.change["state"] == "steady"
    assert after.change["failed"][-1]["reason"] == "power_lost"
    assert after.ask("prove", Work(0)) == Done()


def test_while_it_is_proven_it_can_be_undone_and_not_kept(bench: Bench) -> None:
    answer = bench.ask("web", moved(bench))
    assert rules(bench.ask("web", Confirm(answer.token))) == ["proof_running"]
    assert rules(bench.ask("agent", Outcome(answer.token))) == ["not_your_change"]
    assert isinstance(bench.ask("operator", Reject("0" * 32)), Done)
    assert rules(bench.ask("web", Outcome(answer.token))) == ["rejected"]
    assert bench.ask("prove", Work(0)) == Done()


def test_root_on_the_box_may_do_without_and_that_is_journalled(bench: Bench) -> None:
    text = TEXT.replace("192.168.1.2/24", "192.168.1.3/24")
    assert isinstance(bench.ask("operator", Apply(text, 0, with_proof=False)), Done)
    assert bench.again().change["unproven"] == [bench.change["revision"]]
    assert isinstance(bench.ask("operator", Apply(text, 0, with_proof=False)), Done)
    assert len(bench.change["unproven"]) == 1, "the same rules again needed none"
