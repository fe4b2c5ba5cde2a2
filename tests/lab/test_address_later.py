"""A side starts in the moment in which its port changes hands: it binds what is not there yet, and serves it once it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import Iterator

import pytest

from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.sip.address import Address

LATER = Address("192.0.2.77", 5060)


class Machine:
    """Hears datagrams and wants nothing."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        self.heard.append(data)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        return [(b"hello", Address("192.0.2.78", 5060))]

    def next_event(self) -> None:
        return None

    def get_timer(self) -> None:
        return None

    def handle_timer(self, now: float) -> None:
        return None


def _address(verb: str) -> None:
    subprocess.run(["ip", "address", verb, f"{LATER.host}/32", "dev", "lo"], check=True)


@pytest.fixture
def without() -> Iterator[None]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried, pytest.raises(OSError, match="Cannot assign"):
        tried.bind((LATER.host, 0))  # the control: it is not there
    yield
    with contextlib.suppress(subprocess.CalledProcessError):
        _address("del")


def test_a_side_that_starts_before_its_address_serves_it_later(without: None) -> None:
    machine = Machine()

    async def through() -> None:
        udp = UdpShell(machine, LATER, lambda event, now: None)
        lines = TcpLines(udp.receive)
        await udp.start()
        await lines.listen(LATER)
        _address("add")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"by udp", (LATER.host, LATER.port))
        with socket.create_connection((LATER.host, LATER.port), 5):
            for _ in range(100):
                await asyncio.sleep(0.05)
                if machine.heard:
                    break
        lines.close()
        udp.close()

    asyncio.run(through())
    assert machine.heard == [b"by udp"]
