"""The accepting role alone against a whole foreign SIP stack: what a recorder with PS alone cannot show.

recorder [baresip] .10 ── 192.0.2.0/24 ── .1 [our Platform in the shells of the real programs]

baresip knows no PS, so its calls are of sound: the dialogs, the digest, the connections are the same.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from edge.gb28181.legs import CallAnswered, CallEnded, CallFailed
from edge.gb28181.platform import DeviceOffline, DeviceOnline, KnownDevice, Platform, PlatformConfig
from edge.io.chance import SystemChance
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.lab import private, topology
from edge.rtp.packet import RtpPacket
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from tests.interop import peers

HOST = "recorder"
US, PEER, CONSOLE, MEDIA_PORT = Address("192.0.2.1", 5060), Address("192.0.2.10", 5060), 5555, 40000
ID, PEER_ID, DOMAIN, PASSWORD = "34020000002008000001", "34020000001180000001", "3402000000", "it is 4 lab"
SOUND = MediaDescription("Play", ID, US.host, MEDIA_PORT, media="audio", payload_types=(8,), rtpmap=((8, "PCMA/8000"),))
PICTURES = MediaDescription.offer(
    session_name="Play", origin_id=ID, address=US.host, port=MEDIA_PORT, payload_types=(96,), ssrc=1
)
Transport = Literal["udp", "tcp"]


@pytest.fixture(scope="module", autouse=True)
def wire() -> Iterator[None]:
    """A cable to a host of its own."""
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    topology.ip("netns", "add", HOST)
    topology.ip("link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns", HOST)
    for where, link, address in (((), "near0", US), (("-n", HOST), "far0", PEER)):
        topology.ip(*where, "addr", "add", f"{address.host}/24", "dev", link)
        topology.ip(*where, "link", "set", link, "up")
    yield
    topology.ip("link", "del", "near0")


class Box:
    """Our role in its shells, and what it told."""

    def __init__(self) -> None:
        known = KnownDevice(PEER_ID, PASSWORD, frozenset({PEER.host}))
        self.platform = Platform(PlatformConfig(ID, DOMAIN, US, DOMAIN, (known,)), SystemChance())
        self.told: list[Any] = []
        self.udp = UdpShell(self.platform, US, lambda event, now: self.told.append(event))
        self.lines = TcpLines(self.udp.receive)
        self.udp.lines = self.lines

    async def __aenter__(self) -> Box:
        await self.udp.start()
        await self.lines.listen(US)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lines.close()
        self.udp.close()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    def invite(self, offer: MediaDescription) -> str:
        call = self.platform.invite(PEER_ID, PEER_ID, offer, time.monotonic())
        self.udp.flush()
        assert call is not None  # it is online
        return call

    def hang_up(self, call: str) -> None:
        self.platform.hang_up(call, time.monotonic())
        self.udp.flush()


async def until(read: Callable[[], Any], what: str) -> Any:
    """``eventually``, with the loop running meanwhile."""
    end = time.monotonic() + 30
    while not (value := read()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited 30 s for: {what}")
        await asyncio.sleep(0.02)
    return value


def baresip(folder: Path, transport: Transport) -> peers.Peer:
    account = (
        f'<sip:{PEER_ID}@{DOMAIN};transport={transport}>;auth_pass="{PASSWORD}";answermode=auto;regint=3600'
        f';outbound="sip:{US};transport={transport}"'
    )
    sound = ("module ausine.so", "audio_source ausine,440", "ausrc_srate 48000", "ausrc_channels 2")
    console = ("module cons.so", f"cons_listen {PEER.host}:{CONSOLE}")
    return peers.baresip(folder / "baresip", HOST, PEER.host, account, *sound, *console)


def type_in(words: str) -> None:
    """Say something to its console."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.sendto(f"{words}\n".encode("ascii"), (PEER.host, CONSOLE))


def play(folder: Path, transport: Transport, script: Callable[[Box, peers.Peer], Coroutine[Any, Any, None]]) -> None:
    """Run a script against a baresip that has registered."""

    async def run() -> None:
        async with Box() as box:
            with peers.running(baresip(folder, transport)) as peer:
                await until(lambda: box.of(DeviceOnline) and "[1 binding]" in peer.text(), "its registration")
                await script(box, peer)

    asyncio.run(run())


both = pytest.mark.parametrize("transport", ["udp", "tcp"])


@both
def test_a_call_from_invite_to_our_bye(tmp_path: Path, transport: Transport) -> None:
    async def script(box: Box, peer: peers.Peer) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
            media.bind((US.host, MEDIA_PORT))
            media.setblocking(False)
            call = box.invite(SOUND)
            await until(lambda: box.of(CallAnswered), "its 200")
            await until(lambda: "Call established" in peer.text(), "our ACK")
            packets = [await asyncio.wait_for(asyncio.get_running_loop().sock_recv(media, 2048), 20) for _ in range(5)]
            assert {RtpPacket.parse(packet).payload_type for packet in packets} == {8}
        box.hang_up(call)
        await until(lambda: "session closed: Connection reset by peer" in peer.text(), "our BYE")
        assert re.search(rf"{transport.upper()} {US} -> {PEER.host}:\d+\nINVITE ", peer.text())

    play(tmp_path, transport, script)


@both
def test_it_hangs_up(tmp_path: Path, transport: Transport) -> None:
    async def script(box: Box, peer: peers.Peer) -> None:
        call = box.invite(SOUND)
        await until(lambda: "Call established" in peer.text(), "our ACK")
        type_in("/hangup")
        await until(lambda: box.of(CallEnded) == [CallEnded(call, "bye")], "its BYE")

    play(tmp_path, transport, script)


def test_what_it_cannot_send_it_refuses(tmp_path: Path) -> None:
    async def script(box: Box, peer: peers.Peer) -> None:
        box.invite(PICTURES)
        await until(lambda: box.of(CallFailed), "its refusal")
        assert box.of(CallFailed)[0].status == 488
        await until(lambda: "\nACK sip:" in peer.text(), "our ACK of the refusal")

    play(tmp_path, "udp", script)


def test_it_asks_what_we_can(tmp_path: Path) -> None:
    async def script(box: Box, peer: peers.Peer) -> None:
        type_in(f"/options sip:{ID}@{US}")
        await until(lambda: f"Allow: {', '.join(Platform.methods)}" in peer.text(), "our answer")

    play(tmp_path, "udp", script)


def test_it_leaves(tmp_path: Path) -> None:
    async def script(box: Box, peer: peers.Peer) -> None:
        peer.ask_to_end()
        await until(lambda: box.of(DeviceOffline) == [DeviceOffline(PEER_ID, "unregistered")], "its leave")

    play(tmp_path, "tcp", script)
