"""All recorders of a site lose their power, and come back in the same moment: what the city hears of it.

8 recorders x 8 channels ─ site side ─ ferry ─ city side ─ city, each the product's own, without a socket or a clock.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edge.cityside.core import CitySide
from edge.cityside.core import SendRecord as SendUp
from edge.cityside.issued import IssuedIds
from edge.ferry.core import Ferry, Party, Send
from edge.gb28181.device import Device, DeviceConfig
from edge.gb28181.platform import KnownDevice, Platform, PlatformConfig
from edge.gb28181.reports import CatalogReceived, ChannelChanged, DeviceOnline
from edge.records.codec import decode, encode
from edge.sip.address import Address
from edge.siteside.core import SendRecord, SiteSide
from netconf.check import read_site
from tests.bench.powercut import address, cameras, recorder_id, site_text
from tests.chance import SeededChance

RECORDERS, CHANNELS = 8, 8
ALL = RECORDERS * CHANNELS
BOX, CITY = Address("100.64.0.10", 5060), Address("100.64.255.10", 5060)
LAN = Address("192.168.1.2", 5060)
#: Some recorders start a little faster than others.
APART_SECONDS = 0.03
#: After three keepalives that did not come; and before the city asks for the whole catalog again, of its own accord.
SILENCE_SECONDS = 200.0


class Punctual(SeededChance):
    """Of a recorder: its first keepalive comes when a whole interval is over, as those that do not draw lots send it."""

    def number(self, below: int) -> int:
        return below - 1


class City(Platform):
    """Counts what it is asked and told, and knows what is on."""

    def __init__(self, config: PlatformConfig) -> None:
        super().__init__(config, SeededChance(3))
        self.told: Counter[str] = Counter()
        self.states: dict[str, bool] = {}

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        self.told[data.partition(b" ")[0].decode("ascii")] += 1
        super().receive_datagram(data, addr, now)

    def learn(self, event: object) -> None:
        if isinstance(event, CatalogReceived):
            self.states |= {item.device_id: item.status == "ON" for item in event.items if item.model}
        elif isinstance(event, ChannelChanged):
            self.states[event.channel] = event.online


class House:
    """All of them, and the clock."""

    def __init__(self, folder: Path) -> None:
        site, found = read_site(site_text(RECORDERS, CHANNELS))
        assert site is not None, found
        self.now, self.power = 1000.0, True
        known = tuple(KnownDevice(recorder_id(at), "secret", frozenset({address(at)})) for at in range(RECORDERS))
        self.platform = Platform(PlatformConfig(site.site.id, "3402000000", LAN, "3402000000", known), SeededChance(1))
        self.site = SiteSide(site, self.platform, SeededChance(2))
        self.ferry = Ferry(site)
        above = site.platform[0]
        config = DeviceConfig(site.site.id, above.domain, BOX, CITY, above.id, above.domain, "secret", 3600, 60)
        self.device = Device(config, SeededChance(4))
        issued = IssuedIds(folder / "issued-ids.json", site.site.id)
        assert issued.issue([(channel.recorder, channel.id) for channel in site.channel])
        self.side = CitySide(site, above, self.device, issued, SeededChance(5), str(site.tunnel[0].address.ip))
        box = KnownDevice(site.site.id, "secret", frozenset({BOX.host}))
        self.city = City(PlatformConfig(above.id, above.domain, CITY, above.domain, (box,)))
        self.recorders: dict[Address, Device] = {}

    def switch_on(self) -> None:
        """Let every recorder start anew, one a moment after the other."""
        self.power = True
        for at in range(RECORDERS):
            here = Address(address(at), 5060)
            config = DeviceConfig(recorder_id(at), "3402000000", here, LAN, "34020000002008000001", "3402000000",
                                  "secret", 3600, 60)  # fmt: skip
            self.recorders[here] = Device(config, Punctual(int(self.now) + at))
            self.recorders[here].set_catalog(cameras(at, CHANNELS), self.now)
            self.recorders[here].start(self.now)
            self.carry()
            self.wait(APART_SECONDS)

    def carry(self) -> None:
        """Carry what they say until all are silent."""
        while self._lan() + self._tunnel() + self._records():
            continue

    def _lan(self) -> int:
        moved = 0
        for here, recorder in self.recorders.items() if self.power else ():
            for data, _ in recorder.datagrams_to_send(self.now):
                self.platform.receive_datagram(data, here, self.now)
                moved += 1
            while recorder.next_event() is not None:
                continue
        for data, to in self.platform.datagrams_to_send(self.now):
            moved += 1
            if self.power:
                self.recorders[to].receive_datagram(data, LAN, self.now)
        while (event := self.platform.next_event()) is not None:
            self.site.on_event(event, self.now)
        return moved

    def _tunnel(self) -> int:
        up, down = self.device.datagrams_to_send(self.now), self.city.datagrams_to_send(self.now)
        for data, _ in up:
            self.city.receive_datagram(data, BOX, self.now)
        for data, _ in down:
            self.device.receive_datagram(data, CITY, self.now)
        while (event := self.device.next_event()) is not None:
            self.side.on_event(event, self.now)
        while (event := self.city.next_event()) is not None:
            self.city.learn(event)
            if isinstance(event, DeviceOnline):
                self.city.watch(event.id, "Catalog", self.now)
        return len(up) + len(down)

    def _records(self) -> int:
        both: list[tuple[Party, list[Any]]] = [(Party.SITE, self.site.commands()), (Party.CITY, self.side.commands())]
        for party, commands in both:
            for command in commands:
                if isinstance(command, SendRecord | SendUp):
                    self.ferry.on_record(party, encode(command.record), (), self.now)
        sent = [command for command in self.ferry.commands() if isinstance(command, Send)]
        for command in sent:
            if command.to is Party.SITE:
                self.site.on_record(encode(command.record), self.now)
            else:
                self.side.on_record(decode(encode(command.record)), self.now)
        self.side.publish(self.now)
        return len(sent)

    def wait(self, seconds: float) -> None:
        """Let time pass, from timer to timer."""
        until = self.now + seconds
        while self.now < until:
            ends: list[Device | Platform] = [self.platform, self.device, self.city]
            ends += self.recorders.values() if self.power else ()
            due = [at for end in ends if (at := end.get_timer()) is not None]
            self.now = min([until, *[max(at, self.now + 0.001) for at in due]])
            for end in ends:
                end.handle_timer(self.now)
            self.carry()

    def told(self, seconds: float) -> Counter[str]:
        """Return what the city is asked and told within a time."""
        self.city.told.clear()
        self.wait(seconds)
        return self.city.told


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.ferry.on_side_up(Party.SITE)
    house.ferry.on_side_up(Party.CITY)
    house.side.on_ferry_up()
    house.device.start(house.now)
    house.carry()
    house.switch_on()
    house.wait(30)
    assert len(house.city.states) == ALL
    assert all(house.city.states.values())
    return house


def test_when_all_go_the_city_hears_it_at_once_and_not_of_each_one(house: House) -> None:
    house.power = False
    told = house.told(SILENCE_SECONDS)
    assert len(house.city.states) == ALL
    assert not any(house.city.states.values())
    # Silence is noticed of each recorder when its own keepalive is late; they came within a quarter of a second.
    assert told["NOTIFY"] <= 2
    assert told["MESSAGE"] <= 4 + 2  # a keepalive a minute, and one a notice


def test_when_all_come_back_the_city_hears_it_at_once_and_not_of_each_one(house: House) -> None:
    house.power = False
    house.wait(SILENCE_SECONDS)
    house.city.told.clear()
    house.switch_on()
    house.wait(30)
    told = house.city.told
    assert len(house.city.states) == ALL
    assert all(house.city.states.values())
    assert told["NOTIFY"] <= 2
    assert told["MESSAGE"] <= 1 + 2
    assert told["REGISTER"] == 0


def test_a_flicker_of_all_is_not_told(house: House) -> None:
    house.city.told.clear()
    house.switch_on()  # they were away for less time than anybody noticed
    house.wait(30)
    assert house.city.told["NOTIFY"] == 0
    assert all(house.city.states.values())
