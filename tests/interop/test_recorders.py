"""Recorders that we did not write, in the lab's street in front of the real programs of the box.

nvr [sipp | baresip] ── lan [siteside] · (ferry) · [cityside] vpn ═══ city [the lab's platform]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import private, recorder, topology
from edge.lab.orders import order
from edge.lab.street import SECRETS, Street, eventually
from edge.rtp.packet import RtpPacket
from edge.rtp.ps import mux
from netconf.secrets import read_password
from tests.conftest import ORDERS
from tests.interop import peers

ONE, TWO = recorder.CHANNELS
#: Not what our offer's y= says: recorders ignore it, and so does this one.
SSRC = 0x0BADCAFE
#: A key picture, as far as anybody looks who does not decode it.
PICTURE = b"\0\0\0\1\x67\x42\0\x1f\0\0\0\1\x68\xce\0\0\0\1\x65" + b"\x5a" * 100


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/recorders-log"), without=frozenset({"nvr"}))
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 60, "the site's registration")
        yield street
    finally:
        street.close()


def online(street: Street) -> bool:
    return any(street.said("siteside").get("recorders", {}).values())


def shown() -> list[str]:
    """The channels that the city is told are there."""
    return [code for code, facts in order(ORDERS, "catalog")["channels"].items() if facts[1] == "ON"]


def sipp(folder: Path, password: str, transport: str = "udp") -> peers.Sipp:
    """Start the recorder of the two scenarios."""
    peers.need("sipp", "sip-tester")
    pcap = folder / "stream.pcap"
    packets = [bytes(RtpPacket(96, at, at * 3600, SSRC, mux(PICTURE, at * 3600), True)) for at in range(1500)]
    peers.write_pcap(pcap, packets, 0.04)
    keys: dict[str, str | bytes] = {
        "id": recorder.ID, "box": recorder.BOX_ID, "domain": recorder.DOMAIN,
        "one": ONE, "two": TWO, "name": "北门".encode("gb2312"), "pcap": str(pcap),
    }  # fmt: skip
    return peers.Sipp(
        folder / "sipp", "nvr", topology.NVR_IP, transport, "recorder_registers.xml", keys, "-oocsf",
        str(peers.HERE / "recorder_is_asked.xml"), "-mp", "15060",
        "-m", "1", "-au", recorder.ID, "-ap", password, f"{topology.LAN_IP}:5060",
    )  # fmt: skip


def password() -> str:
    return read_password(SECRETS / "siteside", f"recorder-{recorder.ID}") or ""


def test_sipp_with_a_wrong_password_is_not_let_in(street: Street, tmp_path: Path) -> None:
    peer = sipp(tmp_path, "a guess")
    with peers.running(peer):
        assert peer.status() == 1
    assert "SIP/2.0 401" in peer.wrong()
    assert "SIP/2.0 200" not in peer.seen()
    assert not online(street)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_as_a_recorder_registers_shows_a_catalog_and_streams_until_bye(
    street: Street, tmp_path: Path, transport: str
) -> None:
    peer = sipp(tmp_path, password(), transport)
    with peers.running(peer):
        eventually(lambda: online(street), 40, "the recorder")
        (channel,) = eventually(shown, 40, "its channel at the city")
        order(ORDERS, f"play {channel}")
        eventually(lambda: order(ORDERS, "facts")["packets"] > 20, 40, "its stream at the city")
        assert order(ORDERS, "facts")["foreign_ssrc"] == 0
        order(ORDERS, "stop")
        assert peer.status() == 0, peer.wrong() + peer.text()[-2000:]
    assert "Aborting" not in peer.wrong(), peer.wrong()
    assert f"INVITE sip:{ONE}@{topology.NVR_IP}:5060 SIP/2.0" in peer.seen()
    assert f"ACK sip:{recorder.ID}@{topology.NVR_IP}:5060 SIP/2.0" in peer.seen()
    eventually(lambda: not online(street), 20, "its own leave")


def baresip(folder: Path, password: str) -> peers.Peer:
    account = (
        f"<sip:{recorder.ID}@{recorder.DOMAIN};transport=udp>;auth_pass={password};answermode=auto;regint=3600"
        f';outbound="sip:{topology.LAN_IP}:5060;transport=udp"'
    )
    return peers.baresip(folder / "baresip", "nvr", topology.NVR_IP, account)


def test_baresip_registers_and_takes_it_back(street: Street, tmp_path: Path) -> None:
    with peers.running(baresip(tmp_path, password())) as peer:
        eventually(lambda: online(street), 40, "the recorder")
        eventually(lambda: "[1 binding]" in peer.text(), 20, "its own belief")
        peer.ask_to_end()
        eventually(lambda: not online(street), 40, "its leave")
    assert "expires=0" in peer.text().lower()


def test_baresip_with_a_wrong_password_is_locked_out(street: Street, tmp_path: Path) -> None:
    """It tries the same again at each challenge; the third time it hears 403. The last test: the lock holds a minute."""
    with peers.running(baresip(tmp_path, "guess")) as peer:
        eventually(lambda: "SIP/2.0 403" in peer.text(), 40, "its refusal")
    assert peer.text().count("SIP/2.0 401") == 3
    assert "SIP/2.0 200" not in peer.text()
    assert not online(street)
