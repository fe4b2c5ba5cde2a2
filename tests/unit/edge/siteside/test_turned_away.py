"""What keeps a recorder from registering is kept under its id, whichever of id and address was right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.faults.causes import causes
from edge.faults.evidence import read
from edge.gb28181.platform import Platform
from edge.gb28181.reports import DeviceOffline, DeviceOnline
from edge.gb28181.role import Refused
from edge.io.log import Log
from edge.lab import topology
from edge.sip.address import Address
from edge.siteside.core import SiteSide
from edge.siteside.process import platform_config
from netconf.check import read_site
from tests.chance import SeededChance

SITE, _ = read_site(Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8"))
assert SITE is not None
NVR, HERE, ELSEWHERE = SITE.recorder[0].id, Address("192.168.1.10", 5060), Address("192.168.1.66", 5060)


@pytest.fixture
def side(tmp_path: Path) -> SiteSide:
    assert SITE is not None
    return SiteSide(SITE, Platform(platform_config(SITE, tmp_path, Log("test")), SeededChance(1)), SeededChance(2))


def told(side: SiteSide) -> list[tuple[str, dict[str, str]]]:
    said: dict[str, Any] = {"siteside": side.status()}
    return [(found.code, dict(found.args)) for found in causes(read(said, 100.0))]


def test_each_refusal_is_a_cause_until_it_registers(side: SiteSide) -> None:
    assert told(side) == [("recorder_silent", {"name": NVR, "agreed": "192.168.1.10"})]
    side.on_event(Refused("wrong_password", HERE, NVR), 90.0)
    assert told(side) == [("recorder_password_wrong", {"name": NVR, "source": "192.168.1.10"})]
    side.on_event(Refused("password_locked", HERE, NVR), 91.0)
    assert told(side)[0][0] == "recorder_password_wrong"
    side.on_event(Refused("unknown_device", HERE, "34020000001110000009"), 92.0)
    assert told(side) == [
        ("recorder_id_other", {"name": NVR, "said": "34020000001110000009", "source": "192.168.1.10"})
    ]
    side.on_event(Refused("unknown_address", ELSEWHERE, NVR), 93.0)
    assert told(side)[0] == (
        "recorder_address_other",
        {"name": NVR, "source": "192.168.1.66", "agreed": "192.168.1.10"},
    )
    side.on_event(DeviceOnline(NVR), 94.0)
    assert told(side) == []
    side.on_event(Refused("wrong_password", HERE, NVR), 95.0)
    assert told(side) == [], "somebody else at its address, while it is there"
    side.on_event(DeviceOffline(NVR, "keepalive"), 96.0)
    assert told(side) == [("recorder_gone", {"name": NVR, "how": "keepalive"})]


def test_what_strangers_are_refused_for_is_nobodys(side: SiteSide) -> None:
    for number in range(100):
        side.on_event(Refused("unknown_device", ELSEWHERE, f"{number:020d}"), 90.0)
        side.on_event(Refused("sip_line", HERE, ""), 90.0)
    assert side.status()["turned_away"] == []
