"""Pins as text: what goes out is pinned upon the wire as well, never narrower there, and closed there, too."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from firewall import pin
from firewall.pin import Pin
from firewall.ruleset import FRAMES, TABLE

CITY, NVR = IPv4Address("100.64.255.10"), IPv4Address("192.168.1.10")
OWN, FAR = (IPv4Address("100.64.0.10"), 41000), (CITY, 40000)
OUT = [pin.outward(OWN, FAR, 2048), pin.outward_framed(OWN, FAR, 2048),
       pin.sound_to(NVR, 15062, 30004, 12), pin.inward_framed((NVR,), 30002, 2048)]  # fmt: skip
IN = [pin.inward((NVR,), 30000, (96,), 2048), pin.sound_from(OWN, FAR, 12)]


def lines(script: str, table: str) -> list[str]:
    return [line for line in script.splitlines() if f" {table} " in line]


@pytest.mark.parametrize("one", [*OUT, *IN])
def test_what_lets_something_out_stands_upon_the_wire_as_well(one: Pin) -> None:
    opened, closed = pin.opened(one, 60)[one.namespace], pin.closed(one)[one.namespace]
    for script in (opened, closed):
        assert lines(script, TABLE)
        assert bool(lines(script, FRAMES)) is (one in OUT)


@pytest.mark.parametrize("one", OUT)
def test_the_wire_is_wider_by_what_a_frame_is_longer(one: Pin) -> None:
    opened = pin.opened(one, 60)[one.namespace]
    rates = {
        table: {
            int(rate) for line in lines(opened, table) for rate in re.findall(r"limit rate (\d+) kbytes/second", line)
        }
        for table in (TABLE, FRAMES)
    }
    assert rates[TABLE] == {one.kbytes_per_second}
    (wire,) = rates[FRAMES]
    assert one.kbytes_per_second * (200 + 14) / 200 <= wire <= one.kbytes_per_second * 1.25
