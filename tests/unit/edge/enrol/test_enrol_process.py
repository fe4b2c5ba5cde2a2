"""Enrol at a real door on loopback, with a keeper that only remembers: what is asked, believed, kept; and death in between."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.control.wire import HandOver, Keys, StatusReport, Waiting
from edge.enrol import process
from edge.enrol.conversation import AnswerWrong, Approved, Asker, Pending, Refused, Revoked, understood
from edge.enrol.machine import State
from edge.enrol.process import Enrol
from edge.io.confirmed import Places
from edge.io.log import Log
from edge.lab import control
from edge.lab.authority import Authority
from edge.lab.control import Handler, Server, city_key, context
from netconf import durable, enrolment, envelope, secrets
from netconf.enrolment import Bundle
from netconf.notify import Supervisor

SITE, DOOR = "34020000002008000001", "127.0.0.1"
CLAIM = "0123abcd." + "a" * 26
KEY = "A" * 43 + "="


class Killed(BaseException):
    """kill -9."""


@dataclass
class Yard:
    """A box's enrol and a city's door."""

    folder: Path
    port: int
    authority: Authority
    hole: bool = True
    opened: int = 0
    enrolled: bool = False
    handed: list[str] = field(default_factory=list)
    enrol: Enrol = field(init=False)

    def __post_init__(self) -> None:
        for name in ("run/enrol", "state/enrol", "state/agent", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.places = Places(*(self.folder / name for name in ("run", "state", "secrets")))
        self.device = secrets.ensure_device_key(self.folder / "secrets" / "device")
        self.give()
        self.born()

    def give(self, claim: str = CLAIM) -> None:
        key = base64.b64encode(city_key(self.city).public_key().public_bytes_raw()).decode("ascii")
        bundle = Bundle(SITE, DOOR, self.port, self.authority.pin, key, claim)
        secrets.keep_bundle(self.folder / "secrets/keeper", self.folder / "secrets/enrol", bundle, {"board": "x"})

    @property
    def city(self) -> Path:
        return self.folder / "city"

    def born(self) -> None:
        """A new life of the program."""
        self.enrol = Enrol(self.places, Log("enrol"), Supervisor())

    def ask_keeper(self, run: Path, request: Any, caller: str, seconds: float) -> Any:
        assert caller == "enrol"
        if isinstance(request, HandOver):
            self.handed.append(request.envelope_text)
            return Waiting(1, "a" * 32, 90)
        assert isinstance(request, Keys)
        self.opened += request.go and self.hole
        door = secrets.read_door(self.folder / "secrets/keeper")
        city = secrets.read_city_key(self.folder / "secrets/keeper")
        assert door is not None
        assert city is not None
        return StatusReport({
            "enrolled": self.enrolled, "site": door.site, "address": door.address, "port": door.port, "ca": door.ca,
            "city_key": base64.b64encode(city.public_bytes_raw()).decode("ascii"),
            "hole": "not_enrolled" if self.hole else "", "open": request.go and self.hole,
            "device": secrets.key_hash(self.device.public_key()), "clock_behind": False, "wireguard": {"wg-a": KEY},
        })  # fmt: skip

    def turn(self, later: float = 0.0) -> dict[str, Any]:
        self.enrol.turn(time.monotonic() + later)
        found: dict[str, Any] = json.loads((self.folder / "run/enrol/status.json").read_bytes())
        return found

    def approve(self) -> None:
        layer = {"site": SITE, "device": secrets.key_hash(self.device.public_key()), "epoch": 1, "revision": 1,
                 "not_after": 4_000_000_000, "layer": {}}  # fmt: skip
        (self.city / "layer.json").write_text(envelope.sign("layer", layer, city_key(self.city)), encoding="ascii")
        (self.city / "approved").touch()

    def asked(self) -> dict[str, Any]:
        path = self.city / "asked.json"
        return json.loads(path.read_bytes()) if path.exists() else {}


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    authority = Authority(tmp_path / "city")
    monkeypatch.setattr(Handler, "folder", tmp_path / "city")
    (tmp_path / "city" / "claim").write_text(CLAIM, encoding="ascii")
    server = Server((DOOR, 0), context(authority, DOOR))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Yard(tmp_path, server.server_address[1], authority)
    monkeypatch.setattr(process, "ask_keeper", made.ask_keeper)
    yield made
    server.shutdown()
    server.server_close()


def test_from_the_bundle_to_the_layer(yard: Yard) -> None:
    said = yard.turn()
    assert said["state"] == "pending"
    assert said["code"] == yard.asked()["code"] == enrolment.code(yard.authority.pin, yard.device.public_key(), CLAIM)
    assert yard.asked()["fingerprint"] == {"board": "x"}
    assert yard.turn()["state"] == "pending"
    assert yard.opened == 1, "nobody goes out before the pause is over"
    yard.approve()
    assert yard.turn(10)["state"] == "trying"
    assert len(yard.handed) == 1
    assert "BEGIN CERTIFICATE" in (yard.folder / "state/enrol/certificate.pem").read_text(encoding="ascii")
    assert CLAIM.partition(".")[2] not in json.dumps(said)


def test_without_a_reason_nobody_is_asked(yard: Yard) -> None:
    yard.hole = False
    assert yard.turn()["state"] == "idle"
    assert yard.opened == 0
    assert yard.asked() == {}
    yard.hole = True
    assert yard.turn()["state"] == "pending", "the control"


def test_a_door_with_another_ca_hears_nothing_and_keeps_nothing(yard: Yard, tmp_path: Path) -> None:
    (yard.folder / "secrets/keeper/enrolment.json").write_bytes(
        enrolment.write_door(Bundle(SITE, DOOR, yard.port, "0" * 64, "", ""))
    )
    said = yard.turn()
    assert (said["state"], said["rule"]) == ("asking", "ca_other")
    assert yard.asked() == {}
    assert not (yard.folder / "state/enrol/ca.pem").exists()
    yard.give()
    assert yard.turn()["state"] == "pending", "another bundle is asked with at once"


def test_a_refused_claim_and_then_a_good_one(yard: Yard) -> None:
    yard.give("0123abcd." + "b" * 26)
    said = yard.turn()
    assert (said["state"], said["rule"]) == ("refused", "claim_used")
    yard.give()
    assert yard.turn()["state"] == "pending"


def test_a_revoked_box_says_so_after_a_restart_too_and_only_by_its_own_citys_word(yard: Yard) -> None:
    payload = {"site": SITE, "device": secrets.key_hash(yard.device.public_key()), "epoch": 1, "at": 1_800_000_000,
               "reason": "stolen"}  # fmt: skip
    text = envelope.sign("revocation", payload, city_key(yard.city))
    forged = envelope.sign("revocation", payload | {"device": "0" * 64}, city_key(yard.city))
    (yard.city / "revocation.json").write_text(forged, encoding="ascii")
    said = yard.turn()
    assert (said["state"], said["rule"]) == ("asking", "layer_other_device")
    (yard.city / "revocation.json").write_text(text, encoding="ascii")
    said = yard.turn(100)
    assert said["state"] == "revoked"
    assert said["revoked"] == {"at": 1_800_000_000, "reason": "stolen"}
    yard.born()
    assert yard.turn()["revoked"]["reason"] == "stolen"
    (yard.city / "revocation.json").unlink()
    (yard.folder / "state/enrol/revocation.json").write_text(
        json.dumps({"envelope": forged, "at": 1, "reason": "x"}), encoding="ascii"
    )
    yard.born()
    assert "revoked" not in yard.turn(), "what the city did not sign of this box is forgotten"


def test_a_box_with_a_certificate_needs_no_claim(yard: Yard) -> None:
    yard.turn()
    yard.approve()
    yard.turn(10)
    (yard.folder / "secrets/enrol/claim.json").unlink()
    yard.enrolled = True
    yard.born()
    assert yard.turn()["state"] == "trying"
    assert len(yard.handed) == 2


@pytest.mark.parametrize("held", [True, False])
def test_a_city_that_has_renewed_its_ca_meanwhile_is_followed_by_its_signed_word_alone(
    yard: Yard, tmp_path: Path, held: bool
) -> None:
    """``held``: the box has fetched the CA before already; else all that it knows is its bundle."""
    if held:
        assert yard.turn()["state"] == "pending"
    fresh = Authority(tmp_path / "renewed", name="lab city CA 2")
    for name in ("ca.pem", "ca.key"):
        (yard.city / name).write_bytes((tmp_path / "renewed" / name).read_bytes())
    server = Server((DOOR, 0), context(fresh, DOOR))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        door = json.loads((yard.folder / "secrets/keeper/enrolment.json").read_bytes())
        door["port"] = server.server_address[1]
        (yard.folder / "secrets/keeper/enrolment.json").write_text(json.dumps(door), encoding="ascii")
        pems = [each.pem.decode("ascii") for each in (fresh, yard.authority)]
        payload = {"sequence": 4_000_000_000, "certificates": pems}
        forged = envelope.sign("authority", payload, Ed25519PrivateKey.generate())
        (yard.city / "authority.json").write_text(forged, encoding="ascii")
        assert yard.turn()["rule"] == ("server_other_ca" if held else "ca_other")
        assert not (yard.folder / "state/enrol/authority.json").exists()
        (yard.city / "authority.json").write_text(
            envelope.sign("authority", payload, city_key(yard.city)), encoding="ascii"
        )
        said = yard.turn(100)
        assert (said["state"], said["rule"]) == ("pending", "")
        assert said["code"] == enrolment.code(yard.authority.pin, yard.device.public_key(), CLAIM)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("after", [False, True])
def test_f10_killed_at_any_step_it_goes_on_and_ends_enrolled(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    """The steps: the CA is kept, asked, the certificate is kept, the layer is handed over."""
    left = [at]

    def step(real: Any) -> Any:
        def stepped(*given: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Killed
            found = real(*given, **more)
            if left[0] == 0:
                raise Killed
            return found

        return stepped

    real_ask, real_write = yard.ask_keeper, durable.write
    stepping = step(real_write)

    def write(path: Path, *rest: Any) -> None:
        """The city in this very process writes, too."""
        (stepping if path.is_relative_to(yard.folder / "state") else real_write)(path, *rest)

    monkeypatch.setattr(durable, "write", write)
    monkeypatch.setattr(process, "ask_door", step(process.ask_door))
    handing = step(real_ask)
    monkeypatch.setattr(
        process,
        "ask_keeper",
        lambda run, request, *rest: (handing if isinstance(request, HandOver) else real_ask)(run, request, *rest),
    )
    yard.approve()
    with pytest.raises(Killed):
        yard.turn()
    yard.born()
    yard.turn()
    assert yard.enrol.machine.state is State.TRYING
    assert yard.handed
    assert len(set(yard.handed)) == 1
    assert (yard.folder / "state/enrol/certificate.pem").exists()


# -- what of an answer is believed -----------------------------------------------------------------------------------


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    device = secrets.ensure_device_key(tmp_path / "device")
    city = control.city_key(tmp_path / "city")
    return Asker(
        SITE, Authority(tmp_path / "city").pin, city.public_key(), device, secrets.key_hash(device.public_key())
    )


def body(**said: Any) -> bytes:
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (200, b""), (200, b"[]"), (200, b"[" * 100_000), (200, b"null"), (500, body(state="pending")),
        (200, body(state="x")), (200, body()), (409, body(state="pending")), (403, body(state="approved")),
        (200, body(state="approved", certificate=1, layer="x")), (200, body(state="approved", certificate="x")),
        (200, body(state="revoked")), (200, body(state="revoked", revocation=3)),
        (200, body(state="approved", certificate="\u5317", layer="x")),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_agreed_is_refused_by_name(
    asker: Asker, tmp_path: Path, status: int, data: bytes
) -> None:
    with pytest.raises(AnswerWrong) as wrong:
        understood(status, data, Authority(tmp_path / "city").certificate, None, asker)
    assert wrong.value.rule == "enrol_answer"


def test_the_answers_that_are_agreed(asker: Asker, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "city")

    def heard(status: int, **said: Any) -> object:
        return understood(status, body(**said), (authority.certificate,), time.time(), asker)

    assert heard(200, state="pending") == Pending()
    assert heard(409, state="refused", rule="claim_used") == Refused("claim_used")
    assert heard(403, state="refused", rule="<b>" * 50) == Refused("")
    good = authority.device(asker.device.public_key(), SITE)
    assert heard(200, state="approved", certificate=good, layer="x") == Approved(good, "x")
    for rule, pem in {
        "certificate_other_ca": Authority(tmp_path / "other").device(asker.device.public_key(), SITE),
        "certificate_other_site": authority.device(asker.device.public_key(), SITE[::-1]),
    }.items():
        with pytest.raises(AnswerWrong) as wrong:
            heard(200, state="approved", certificate=pem, layer="x")
        assert wrong.value.rule == rule
    facts = {"site": SITE, "device": asker.device_hash, "epoch": 1, "at": 5, "reason": "lost"}
    text = envelope.sign("revocation", facts, control.city_key(tmp_path / "city"))
    assert heard(200, state="revoked", revocation=text) == Revoked(text, 5, "lost")
