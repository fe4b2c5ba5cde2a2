"""A talk at the city: it announces a broadcast; when the recorder is ready we ask its source for the sound (2016 9.12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from edge.cityside.issued import IssuedIds
from edge.gb28181.device import Device
from edge.gb28181.legs import CallAnswered, CallEnded, CallFailed
from edge.manscdp.events import Broadcast, BroadcastResponse
from edge.records.types import CloseMedia, MediaRefused, OpenTalk, Record, TalkAnswered, TalkReady
from edge.sdp.description import NAMES, MediaDescription
from edge.sip.address import Address
from edge.sip.chance import Chance
from netconf.model import Platform

PCMA = 8
#: ``f=`` of a broadcast: no picture, G.711 at 64 kbit/s and 8 kHz (2016 annex F).
FORM = "v/////a/1/8/1"


@dataclass(frozen=True, slots=True)
class PassTalk:
    """Connect the talk's port with the city's source, and hand it to the ferry with ``record``."""

    call: int
    city: Address
    record: TalkReady


@dataclass(slots=True)
class _Talk:
    asked: Broadcast
    leg: str = ""


class CityTalks:
    """All talks of one city, by call."""

    def __init__(
        self,
        platform: Platform,
        device: Device,
        issued: IssuedIds,
        chance: Chance,
        address: str,
        send: Callable[[Record], None],
        hand: Callable[[PassTalk], None],
    ) -> None:
        self._platform = platform.id
        self._networks = platform.media_networks
        self._hand = hand
        self._device = device
        self._issued = issued
        self._chance = chance
        self._address = address
        self._send = send
        self._talks: dict[int, _Talk] = {}

    def take(self, asked: Broadcast, viewer: str) -> None:
        """Send the city's wish to speak into the box."""
        target = self._issued.channel(asked.target_id)
        if target is None:
            return
        call = 1 + self._chance.number(0xFFFFFFFF)
        self._talks[call] = _Talk(asked)
        self._send(OpenTalk(call, self._platform, *target, viewer))

    def on_record(self, record: Record, now: float) -> bool | int:
        """Take a record; False when it is none of a talk, the call's number when a port for its sound is wanted."""
        if isinstance(record, TalkAnswered):
            return record.call if record.call in self._talks else True
        if isinstance(record, MediaRefused | CloseMedia):
            return self.close(record.call, now)
        return False

    def on_port(self, call: int, port: int | None, now: float) -> bool:
        """Take the port that the sound is to come to, and ask for it; False when there is no such talk."""
        talk = self._talks.get(call)
        if talk is None:
            return False
        if port is None:
            self._send(CloseMedia(call, "media_address_foreign"))
            self.close(call, now)
            return True
        asked = talk.asked
        self._device.answer(BroadcastResponse(asked.sn, asked.target_id, "OK"), now)
        offer = MediaDescription(
            "Play", asked.target_id, self._address, port, media="audio", payload_types=(PCMA,),
            rtpmap=((PCMA, NAMES[PCMA]),), ssrc=self._chance.number(10_000), form=FORM,
        )  # fmt: skip
        talk.leg = self._device.invite(asked.source_id, offer, now)
        return True

    def on_event(self, event: object, now: float) -> int | None:
        """Take an event of a leg; return the call whose leg ended, None when nothing of a talk did."""
        if not isinstance(event, CallAnswered | CallFailed | CallEnded):
            return None
        call = next((number for number, talk in self._talks.items() if talk.leg == event.call), None)
        if call is None:
            return None
        if isinstance(event, CallAnswered):
            wrong = self._objection(event.answer)
            if wrong is None:
                self._hand(PassTalk(call, Address(event.answer.address, event.answer.port), TalkReady(call)))
                return None
            self._send(CloseMedia(call, wrong))
            self.close(call, now)
            return call
        del self._talks[call]
        self._send(CloseMedia(call, "ended_normally" if isinstance(event, CallEnded) else "city_unreached"))
        return call

    def _objection(self, answer: MediaDescription) -> str | None:
        """Return why the city's source is not listened to: it is elsewhere, or speaks otherwise."""
        if not any(IPv4Address(answer.address) in network for network in self._networks):
            return "media_address_foreign"
        good = answer.transport == "RTP/AVP" and PCMA in answer.payload_types and answer.port >= 1024
        return None if good else "sdp_unacceptable"

    def close(self, call: int, now: float) -> bool:
        """The talk is over; False when there is none."""
        talk = self._talks.pop(call, None)
        if talk is None:
            return False
        if talk.leg:
            self._device.hang_up(talk.leg, now)
        else:
            self._device.answer(BroadcastResponse(talk.asked.sn, talk.asked.target_id, "ERROR"), now)
        return True

    @property
    def running(self) -> list[int]:
        """The calls of all talks."""
        return list(self._talks)

    def close_all(self, now: float) -> list[int]:
        """Without the ferry, or by another tunnel, no talk goes on; return those that ended."""
        ended = list(self._talks)
        for call in ended:
            self.close(call, now)
        return ended
