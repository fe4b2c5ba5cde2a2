"""The box's own programs and the city's own: a claim, six digits, a person, a certificate, a signed layer, sealed secrets, reports.

``snowgate city serve`` runs as it does at the city, in a namespace of its own behind three wires: the uplink, by which enrol
comes, and two that stand for the tunnels, by which the agent does. The keeper decides as always; only its hands are
recorders, for the kernel is not what is tried here.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from city.registry import feeds, layers, platforms, rotation
from city.registry.layers import Why
from city.registry.signer import Signer
from city.registry.store import Store, open_store
from city.registry.tables import Concentrator, Health, Layer, Meta, Peer, Site, Template
from city.signing.client import over_socket
from edge.agent import process as agent_process
from edge.agent.process import Agent
from edge.control.hole import DEAD_SECONDS
from edge.control.wire import Apply, Done, Job, Proving, Work
from edge.enrol import process as enrol_process
from edge.enrol.process import Enrol
from edge.io.confirmed import Places
from edge.io.log import Log
from edge.keeper.keeper import Folders, Keeper
from edge.lab import private, topology
from edge.lab.street import eventually, owner_part
from netconf import enrolment, envelope, sealed, secrets
from netconf.check import read_parsed
from netconf.model import Site as BoxSite
from netconf.notify import Supervisor
from tests import cityserver
from tests.enrolling import der
from tests.playbook.test_keeper import TEXT, Facts
from tests.playbook.test_keeper_enrols import LoadingHand
from tests.proven import ask, verdict

SITE, PLATFORM = "34020000002008000001", "34020000002000000001"
#: Its namespace; "city" is what a street calls its own.
REGISTRY = "registry"
DOOR, CONTROL, PORT = "203.0.113.10", "10.20.0.6", 8443
BODY: dict[str, Any] = {
    "platform": [{
        "id": PLATFORM, "domain": "3402000000", "address": "10.20.0.5", "media_networks": ["10.20.1.0/24"],
        "rights": ["live"],
    }],
    "control": {"address": CONTROL, "port": PORT},
}  # fmt: skip
#: The wires: our end, its address without one of the box's own, and the network that is the box's beyond it.
WIRES = {"up0": "203.0.113.1/24", "wg-a": "", "wg-b": ""}
HUBS = {"wg-a": "100.64.0.0/18", "wg-b": "100.96.0.0/18"}
#: A change is proven, waits for the city's word, and is told as in use; one that follows another takes as many again.
MOST_REPORTS = 8
#: Each program of the city starts with all its libraries.
pytestmark = pytest.mark.timeout(400)


@dataclass
class City:
    """The city's processes, and the same registry from beside them."""

    folder: Path
    store: Store
    signer: Signer
    #: Opens what is sealed to the concentrators, and to the platform's own program.
    key: ec.EllipticCurvePrivateKey

    def command(self, *arguments: str, who: str = "op1") -> str:
        said = cityserver.run(self.folder, "--as", who, *arguments)
        assert said.returncode == 0, said.stderr
        return said.stdout

    def bundle(self) -> str:
        said = self.command("claim", SITE)
        return next(line for line in said.splitlines() if line.startswith("SNOWGATE1:"))

    def offer(self, body: dict[str, Any], version: int) -> int:
        """Have another layer signed, and return its revision."""
        with self.store.begin() as session:
            session.add(Template(name="street", version=version, body=json.dumps(body), made_by="x", made_at=0.0,
                                 state="approved"))  # fmt: skip
            session.flush()
            site = session.get_one(Site, SITE)
            site.template_version = version
            return layers.offer(session, self.signer, site, time.time(), Why("op1", "test"))

    def states(self) -> dict[int, str]:
        with self.store.read() as session:
            return {row.revision: row.state for row in session.query(Layer).all()}

    def health(self) -> Health | None:
        with self.store.read() as session:
            return session.get(Health, SITE)

    def peer(self, tunnel: str) -> Peer:
        with self.store.read() as session:
            return session.get_one(Peer, (SITE, tunnel))

    def psk(self, tunnel: str) -> str:
        """A tunnel's preshared key, as its concentrator gets it."""
        return sealed.unseal(self.peer(tunnel).psk, self.key, envelope.SEALED_FOR_HUB + SITE).decode()

    def password(self) -> str:
        """What the platform's own program is told."""
        with self.store.read() as session:
            (entry,) = feeds.after(session, platforms.FEED, 0, 10) or ()
        return sealed.unseal(entry.body["password"], self.key, f"platform {SITE}").decode()


@dataclass
class Box:
    """Keeper, enrol and agent of one box."""

    folder: Path
    places: Places = field(init=False)
    keeper: Keeper = field(init=False)
    hands: dict[str, LoadingHand] = field(init=False)
    enrol: Enrol = field(init=False)
    _agent: Agent | None = None

    def __post_init__(self) -> None:
        for name in ("run/enrol", "run/agent", "state/enrol", "state/agent", "state/keeper", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.places = Places(*(self.folder / name for name in ("run", "state", "secrets")))
        self.hands = {name: LoadingHand(facts=Facts()) for name in ("lan", "vpn", "wan")}
        hidden = self.places.secrets
        folders = Folders(self.places.run, self.places.state / "keeper", hidden / "keeper", hidden / "device",
                          hidden / "cityside")  # fmt: skip
        hands: Any = self.hands
        tokens = itertools.count(1)
        self.keeper = Keeper(hands, {"lan": 1, "vpn": 2}, folders, lambda: f"{next(tokens):032x}")
        self.keeper.restore()
        self.enrol = Enrol(self.places, Log("enrol"), Supervisor())

    def ask_keeper(self, _run: Path, request: Any, caller: str, _seconds: float) -> Any:
        """As over the socket; what waits for a proof has it before it is asked after."""
        answer = ask(self.keeper, caller, request)
        if isinstance(answer, Proving):
            job = ask(self.keeper, "prove", Work(0))
            assert isinstance(job, Job)
            ask(self.keeper, "prove", verdict(job))
        return answer

    def say(self, program: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.places.run / program / "status.json").read_bytes())
        return found

    def asks(self, later: float = 0.0) -> dict[str, Any]:
        """Enrol's next turn, and what it says then."""
        self.enrol.turn(time.monotonic() + later)
        return self.say("enrol")

    @property
    def site(self) -> BoxSite:
        site, found = read_parsed(json.loads((self.places.run / "site.json").read_bytes()))
        assert site is not None, found
        return site

    @property
    def agent(self) -> Agent:
        """The agent of this configuration: one that changes ends its life, but for a change that is its own to confirm."""
        site = self.site
        assert site.control is not None
        if self._agent is None:
            self._agent = Agent(site, site.control, self.places, Log("agent"), Supervisor())
        self._agent.move(site, site.control)
        return self._agent

    def reports(self) -> str:
        """The agent's next turn, and what it says then of the city."""
        self.hands["vpn"].facts.last_handshake = int(time.time())
        self.agent.turn()
        said = self.say("agent")
        return str(said.get("rule") or said["control"])

    def reports_until(self, done: Callable[[], bool]) -> None:
        """Report, and be answered, as often as a change takes."""
        for _ in range(MOST_REPORTS):
            assert self.reports() == "answers"
            if done():
                return
        raise AssertionError(self.change)

    @property
    def change(self) -> dict[str, Any]:
        found: dict[str, Any] = self.keeper._facts("operator")["change"]
        return found

    def kept(self) -> dict[str, str | None]:
        """The secrets in force."""
        folder = self.places.secrets
        found = {name: secrets.read_preshared_key(folder / "keeper", name) or None for name in HUBS}
        return found | {"sip": secrets.read_password(folder / "cityside", f"platform-{PLATFORM}")}


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


@contextmanager
def _wires() -> Iterator[None]:
    """Our ends here, the registry's in its own namespace, with its two addresses; with that they go."""
    _ip("netns", "add", REGISTRY)
    _ip("-n", REGISTRY, "link", "set", "lo", "up")
    for name, address in WIRES.items():
        _ip("link", "add", name, "type", "veth", "peer", "name", f"far-{name}", "netns", REGISTRY)
        _ip("-n", REGISTRY, "link", "set", f"far-{name}", "up")
        if address:
            _ip("addr", "add", address, "dev", name)
        _ip("link", "set", name, "up")
    _ip("-n", REGISTRY, "addr", "add", f"{DOOR}/24", "dev", "far-up0")
    _ip("-n", REGISTRY, "addr", "add", f"{CONTROL}/32", "dev", "lo")
    for at, (name, network) in enumerate(HUBS.items()):
        _ip("-n", REGISTRY, "route", "add", network, "dev", f"far-{name}")
        _ip("route", "add", "10.20.0.0/16", "dev", name, "metric", str(at + 1))
    try:
        yield
    finally:
        _ip("netns", "delete", REGISTRY)


def _answers() -> bool:
    try:
        socket.create_connection((DOOR, PORT), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    folder, key = tmp_path_factory.mktemp("city"), ec.generate_private_key(ec.SECP256R1())
    made = cityserver.run(folder, "init", "--name", "测试市", "--address", DOOR, "--port", str(PORT), "--also", CONTROL)
    assert made.returncode == 0, made.stderr
    with _wires(), cityserver.serving(folder, _answers, topology.inside(REGISTRY)):
        store = open_store(f"sqlite:///{folder / 'data' / 'city.sqlite'}", upgrade=False)
        with store.begin() as session:
            session.add(Template(name="street", version=1, body=json.dumps(BODY), made_by="x", made_at=0.0,
                                 state="approved"))  # fmt: skip
            session.add(Meta(name=platforms.KEY + PLATFORM, value=der(key.public_key())))
            for at, (plane, network) in enumerate(HUBS.items()):
                public = base64.b64encode(bytes([250, at]) + bytes(30)).decode()
                session.add(Concentrator(
                    id=f"hub{at}", name=plane, plane=plane, public_key=public, network=network,
                    seal_key=der(key.public_key()), endpoint=f"192.0.2.{10 + at}:51820",
                    probe=network.replace("0.0/18", "0.1"), allowed='["10.20.0.0/16"]',
                ))  # fmt: skip
        yield City(folder, store, over_socket(folder / "socket" / "sign.sock"), key)
        store.close()


@pytest.fixture(scope="module")
def box(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.keeper.kernel.wireguard_missing", lambda *_: [])
        patch.setattr("edge.keeper.enrol.rights.uid_of", lambda user: 64299 if user == "snowgate-enrol" else None)
        made = Box(tmp_path_factory.mktemp("box"))
        patch.setattr(enrol_process, "ask_keeper", made.ask_keeper)
        patch.setattr(agent_process, "ask", made.ask_keeper)
        for name in ("op1", "op2"):
            city.command("person", "add", name, "operator", who="security")
        city.command("site", "add", SITE, "渡江社区", "--civil-code", "340200", "--template", "street@1")
        assert isinstance(ask(made.keeper, "operator", Apply(owner_part(TEXT), 0, with_proof=False)), Done)
        yield made


def test_what_box_and_console_show_is_the_same_and_a_person_lets_it_in(city: City, box: Box) -> None:
    bundle = enrolment.read_bundle(city.bundle())
    secrets.keep_bundle(box.places.secrets / "keeper", box.places.secrets / "enrol", bundle, {"board": "x"})
    said = box.asks()
    assert (said["state"], said["rule"]) == ("pending", "")
    number, code, *_ = city.command("pending").split("\t")
    assert (number, code) == (SITE, said["code"])
    assert box.asks(100)["state"] == "pending"
    assert json.loads(city.command("approve", SITE, code, who="op2"))["state"] == "active"
    said = box.asks(200)
    assert (said["state"], said["rule"]) == ("trying", "")
    assert box.change["state"] == "waiting"
    assert "BEGIN CERTIFICATE" in (box.places.state / "enrol/certificate.pem").read_text(encoding="ascii")


def test_its_secrets_are_those_of_concentrators_and_platform_of_all_pieces_together(city: City, box: Box) -> None:
    with city.store.read() as session:
        assert len(session.query(Layer).one().sealed.split()) == 3
    assert box.kept() == {"wg-a": city.psk("wg-a"), "wg-b": city.psk("wg-b"), "sip": city.password()}


def addressed(box: Box) -> None:
    """The tunnels' own addresses, which the hands would have set."""
    for tunnel in box.site.tunnel:
        _ip("addr", "replace", str(tunnel.address), "dev", tunnel.name)


def test_the_first_layer_is_confirmed_by_the_agents_report_with_its_certificate(city: City, box: Box) -> None:
    addressed(box)
    assert [tunnel.own_key for tunnel in box.site.tunnel] == [city.peer(name).public_key for name in HUBS]
    assert city.states() == {1: "offered"}
    box.reports_until(lambda: city.states() == {1: "applied"})
    assert (box.change["state"], box.change["applied"]) == ("steady", [1, 1])
    assert city.states() == {1: "applied"}
    kept = eventually(lambda: (one := city.health()) is not None and one.revision == 1 and one, 10, "the report")
    assert json.loads(kept.report)["receipts"] is not None
    assert kept.version
    assert box.asks(1000)["hole"] == "", "and its reason is gone"


def test_another_layer_comes_by_the_report_and_leaves_the_secrets_as_they_are(city: City, box: Box) -> None:
    before = box.kept()
    revision = city.offer(BODY | {"monitoring": {"readers": ["10.20.0.9"]}}, 2)
    box.reports_until(lambda: city.states()[revision] == "applied")
    assert box.change["applied"] == [1, revision]
    assert [str(reader) for reader in box.site.monitoring.readers] == ["10.20.0.9"]
    assert box.kept() == before


def test_a_layer_that_the_box_cannot_hold_is_not_in_use_and_the_city_hears_why(city: City, box: Box) -> None:
    used = box.change["applied"]
    box.hands["lan"].broken = True
    revision = city.offer(BODY | {"monitoring": {"readers": ["10.20.0.10"]}}, 3)
    assert box.reports() == "answers"
    box.hands["lan"].broken = False
    box.keeper.tick()
    box.reports_until(lambda: city.states()[revision] == "reverted")
    assert box.change["applied"] == used
    following = city.offer(BODY, 4)
    box.reports_until(lambda: city.states()[following] == "applied")


def test_a_tunnels_key_is_exchanged_from_the_citys_word_to_the_boxs_next_report(city: City, box: Box) -> None:
    eventually(lambda: (one := city.health()) is not None and '"wg-a"' in one.handshakes, 10, "the report")
    old = city.peer("wg-b").public_key
    with city.store.begin() as session:
        rotation.begin(session, session.get_one(Site, SITE), "wg-b", "op1", time.time())
    box.reports_until(lambda: city.peer("wg-b").public_key != old and not city.peer("wg-b").rotation)
    peer = city.peer("wg-b")
    assert peer.next_key is None
    box.keeper.tick()
    assert secrets.ensure_wireguard_key(box.places.secrets / "keeper", "wg-b") == peer.public_key
    assert {tunnel.name: tunnel.own_key for tunnel in box.site.tunnel}["wg-b"] == peer.public_key


def test_the_agent_dials_by_the_other_tunnel_when_one_is_gone(city: City, box: Box) -> None:
    _ip("link", "set", "wg-a", "down")
    try:
        assert box.reports() == "away"
        assert box.reports() == "answers"
    finally:
        _ip("link", "set", "wg-a", "up")
        _ip("route", "replace", "10.20.0.0/16", "dev", "wg-a", "metric", "1")


def test_f32_a_certificate_that_the_city_does_not_take_is_mended_in_the_tunnel(city: City, box: Box) -> None:
    kept = box.places.state / "enrol" / "certificate.pem"
    pem = kept.read_bytes()
    kept.unlink()
    assert box.reports() == "certificate_missing"
    assert box.say("agent")["revoked"] is None
    assert (box.places.state / "agent" / "certificate.pem").read_bytes() == pem, "the young one again"
    assert box.reports() == "answers"


def test_c04_a_box_that_was_revoked_hears_so_in_the_tunnel_and_at_the_door(city: City, box: Box) -> None:
    city.command("revoke", SITE, "stolen", who="security")
    assert box.reports() == "server_refuses_certificate"
    assert box.say("agent")["revoked"]["reason"] == "stolen"
    box.keeper.tick()
    seen = box.keeper._enrolling._handshakes._seen
    seen |= {name: (last, since - 2 * DEAD_SECONDS) for name, (last, since) in seen.items()}
    said = box.asks(2000)
    assert (said["state"], said["revoked"]["reason"]) == ("revoked", "stolen")
