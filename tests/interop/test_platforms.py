"""Cities that we did not write, in the lab's street: the real programs of the box register with them.

nvr [the lab's recorder] ── lan [siteside] · (ferry) · [cityside] vpn ═══ wg ═══ city [kamailio | sipp]
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import city, private, topology
from edge.lab.sockets import in_namespace, udp_in
from edge.lab.street import RUN, SECRETS, SITE_FILE, Street, eventually
from edge.rtp.packet import RtpPacket
from netconf.secrets import read_password
from tests.interop import peers

MEDIA_PORT, Y = 40000, 200_004_321
both = pytest.mark.parametrize("transport", ["tcp", "udp"])


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    text = SITE_FILE.read_text(encoding="utf-8")
    site = tmp_path_factory.mktemp("platforms") / "site.toml"
    text = text.replace("[[platform]]\n", '[[platform]]\ntransport = "tcp"\n')
    site.write_text(text.replace("keepalive_seconds = 10", "keepalive_seconds = 5"), encoding="utf-8")
    street = Street(Path("build/lab/platforms-log"), without=frozenset({"city"}), site_file=site)
    try:
        street.open()
        eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 40, "both sides at the ferry")
        yield street
    finally:
        street.close()


def speak(street: Street, transport: str) -> None:
    """Have the box speak UDP or TCP with its city, and begin anew: after a refusal it would wait for a minute."""
    text = (RUN / "applied.toml").read_text(encoding="utf-8")
    wanted = text.replace('"tcp"', f'"{transport}"').replace('"udp"', f'"{transport}"')
    if wanted != text:
        street.apply(wanted)
    starts = street.starts("cityside")
    street.kill("cityside")
    eventually(lambda: street.starts("cityside") > starts, 30, "the city side again")


def registered(street: Street) -> bool:
    return bool(street.said("cityside").get("registered"))


def said(street: Street) -> str:
    """What the city side wrote into its log."""
    return (street.logs / "cityside.log").read_text(encoding="utf-8")


def password() -> str:
    return read_password(SECRETS / "cityside", f"platform-{city.ID}") or ""


class Kamailio:
    """Debian's kamailio in ``city``; what one life of it wrote stays in the log of all."""

    def __init__(self, folder: Path, secret: str) -> None:
        peers.need("kamailio", "kamailio")
        text = (peers.HERE / "kamailio.cfg").read_text(encoding="ascii")
        facts = {"ADDRESS": topology.CITY_IP, "REALM": city.DOMAIN, "PASSWORD": secret, "CONTROL": "/run/kamailio.ctl"}
        for name, value in facts.items():
            text = text.replace(name, value)
        self._folder, self._config = folder, folder / "kamailio.cfg"
        self._config.write_text(text, encoding="ascii")
        self.peer = self._start()

    def _start(self) -> peers.Peer:
        command = ("kamailio", "-DD", "-E", "-m", "16", "-M", "4", "-Y", str(self._folder), "-f", str(self._config))
        return peers.Peer(self._folder / "kamailio.log", "city", command)

    def restart(self) -> None:
        """kill -9 it with all it remembers, and start it again."""
        self.peer.end()
        self.peer = self._start()

    def count(self, words: str) -> int:
        return self.peer.text().count(words)

    def bound(self) -> str:
        """Its own table of who is registered."""
        return peers.asked("kamcmd", "-s", "unix:/run/kamailio.ctl", "ul.dump")


@both
def test_kamailio_knows_the_box_and_again_after_it_has_forgotten(
    street: Street, tmp_path: Path, transport: str
) -> None:
    kamailio = Kamailio(tmp_path, password())
    try:
        speak(street, transport)
        eventually(lambda: registered(street), 60, "registered")
        eventually(lambda: kamailio.count(f"alive {city.BOX_ID} over {transport}"), 40, "a keepalive that it answers")
        assert kamailio.count(f"registered {city.BOX_ID} over {transport}") == 1
        assert f"AoR: {city.BOX_ID}" in kamailio.bound()
        before = kamailio.count("alive")
        kamailio.restart()
        eventually(lambda: kamailio.count(f"registered {city.BOX_ID} over {transport}") == 2, 60, "registered anew")
        eventually(lambda: kamailio.count("alive") > before, 40, "a keepalive that it answers")
        assert f"AoR: {city.BOX_ID}" in kamailio.bound()
        assert registered(street)
    finally:
        kamailio.peer.end()


def test_kamailio_that_has_another_password_does_not_know_the_box(street: Street, tmp_path: Path) -> None:
    kamailio, before = Kamailio(tmp_path, "another"), len(said(street))
    try:
        speak(street, "tcp")
        # Its first challenge, and its answer to our answer.
        eventually(lambda: kamailio.count(f"challenged {city.BOX_ID}") == 2, 60, "its refusal")
        eventually(lambda: "status_401" in said(street)[before:], 20, "what the box believes")
        assert not registered(street)
        assert city.BOX_ID not in kamailio.bound()
        assert not kamailio.count("registered")
    finally:
        kamailio.peer.end()


def sipp(folder: Path, secret: str, transport: str) -> peers.Sipp:
    peers.need("sipp", "sip-tester")
    keys: dict[str, str | bytes] = {
        "id": city.ID, "box": city.BOX_ID, "password": secret, "domain": city.DOMAIN,
        "at": f"{topology.TUNNEL_IP}:5060", "media": str(MEDIA_PORT),
    }  # fmt: skip
    return peers.Sipp(folder / "sipp", "city", topology.CITY_IP, transport, "city_asks.xml", keys, "-mp", "41000")


def watch(packets: int) -> list[RtpPacket]:
    """Return the first packets of the stream at the city's media port."""
    with udp_in("city", (topology.CITY_IP, MEDIA_PORT)) as media:
        media.settimeout(peers.SECONDS)
        return [RtpPacket.parse(media.recv(65536)) for _ in range(packets)]


def tell(transport: str) -> None:
    """Tell the scenario that the stream was seen."""
    lines = (
        f"INFO sip:{city.ID}@{topology.CITY_IP} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {topology.CITY_IP}:5070;branch=z9hG4bKseen",
        "From: <sip:judge@test>;tag=1", f"To: <sip:{city.ID}@test>", "Call-ID: seen", "CSeq: 1 INFO",
        "Content-Length: 0", "", "",
    )  # fmt: skip
    with in_namespace("city"):
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
    with line:
        line.settimeout(20)
        line.bind((topology.CITY_IP, 5070))
        line.connect((topology.CITY_IP, 5060))
        line.sendall("\r\n".join(lines).encode("ascii"))
        assert line.recv(65536).startswith(b"SIP/2.0 200")


@pytest.mark.parametrize("transport", ["udp"])
def test_sipp_as_a_city_admits_the_box_reads_its_catalog_and_watches_a_camera(
    street: Street, tmp_path: Path, transport: str
) -> None:
    with peers.running(sipp(tmp_path, password(), transport)) as peer:
        speak(street, transport)
        eventually(lambda: "m=video 40000" in peer.seen(), 60, "its INVITE")
        packets = watch(50)
        assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(Y, 96)}
        tell(transport)
        assert peer.status() == 0, peer.wrong() + peer.text()[-2000:]
    assert "Aborting" not in peer.wrong(), peer.wrong()
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


def test_sipp_as_a_city_that_has_another_password_refuses_the_box(street: Street, tmp_path: Path) -> None:
    before = len(said(street))
    with peers.running(sipp(tmp_path, "another", "udp")) as peer:
        speak(street, "udp")
        eventually(lambda: "SIP/2.0 403" in peer.seen(), 60, "its refusal")
        eventually(lambda: "status_403" in said(street)[before:], 20, "what the box believes")
    assert not registered(street)
    assert "SIP/2.0 200" not in peer.seen()
