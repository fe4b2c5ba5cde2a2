"""The lab's city: the product's own platform role, a receiver of RTP, and the judge of its pictures.

It takes one-line orders on a unix socket: ``play CHANNEL [main|sub] [as=WHO] [tcp|mux|PORT|quiet]`` (by TCP, with RTCP
by the media's port, by this one, or nowhere), ``playback CHANNEL START END``, ``pause``, ``resume``,
``scale N``, ``seek SECONDS``, ``stop``, ``catalog``, ``records CHANNEL START END``, ``presets CHANNEL``,
``do CHANNEL ACTION NUMBERS``, ``deny CHANNEL TELEBOOT``, ``subscribe KIND``, ``broadcast CHANNEL``, ``facts``; an order
that begins with ``@NAME`` is for a call of that name, of several at a time, ``mark`` has the longest gap between its pictures
measured from now on, and ``over`` tells a call's judge that all is there. Meaning ill: ``raw HEX`` (octets down its
connections), ``again HEX`` (a second INVITE in the call, with this description), ``back HEX`` (octets down a call's media
connection) and ``unread``, ``read`` (that connection fills, or is read again), ``lost N`` (its reports say so; without N it sends none).
Set up wrongly, it obeys ``deaf`` (from now on nobody listens where
its offers say), ``address A`` (they name this one), ``password P`` (the site's is another from now on, and its connection
ends), and with nothing behind each word is right again. ``offers TYPE,TYPE`` says what its offers have from now on.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.gb28181.legs import CallAnswered, CallEnded, CallEstablished, CallFailed, InviteReceived, PlaybackAnswered
from edge.gb28181.orders import control_of
from edge.gb28181.platform import Ask, KnownDevice, Platform, PlatformConfig
from edge.gb28181.reports import (
    AlarmReceived,
    Answered,
    AskRefused,
    CatalogReceived,
    ChannelChanged,
    ChannelsFaulty,
    ControlSent,
    DeviceOffline,
    DeviceOnline,
    MediaEnded,
    PositionReceived,
)
from edge.io.chance import SystemChance
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.lab import orders as orders_of
from edge.lab.receiver import Receiver
from edge.lab.sound import PCMA, Speaker
from edge.manscdp.control import TeleBoot
from edge.manscdp.device import PresetQuery, PresetResponse
from edge.manscdp.events import Broadcast
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse
from edge.mansrtsp.control import PlaybackRequest
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from netconf.secrets import read_password

ID, DOMAIN, BOX_ID = "34020000002000000001", "3402000000", "34020000002008000001"
MEDIA_PORT = 40000
SSRC = 200_004_321
TALK_PORT = 41000


#: What is said while nobody has called.
_NO_CALL = {
    "call": "",
    "packets": 0,
    "reports": 0,
    "report": {},
    "foreign_ssrc": 0,
    "playback": [],
    "finished": False,
    "judge": {},
}


class _Hearing(Platform):
    """Counts what is said to it, by method."""

    def __init__(self, config: PlatformConfig) -> None:
        super().__init__(config, SystemChance())
        self.told: Counter[str] = Counter()

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        self.told[data.partition(b" ")[0][:16].decode("ascii", "replace")] += 1
        super().receive_datagram(data, addr, now)


class City:
    """One platform's process; ``box`` is the id that it knows the box by, which comes from one of ``addresses``."""

    def __init__(
        self, secrets: Path, edition: int, own_id: str, host: str, box: str, addresses: frozenset[str]
    ) -> None:
        self._id, self._host, self._box = own_id, host, box
        local = Address(host, 5060)
        known = KnownDevice(box, read_password(secrets, f"platform-{own_id}") or "", addresses)
        config = PlatformConfig(own_id, DOMAIN, local, DOMAIN, (known,), keepalive_seconds=10, user_agent="lab city",
                                edition=edition)  # fmt: skip
        self._platform = _Hearing(config)
        self._udp = UdpShell(self._platform, local, self._event)
        self._local = local
        self._lines = TcpLines(self._udp.receive)
        self._udp.lines = self._lines
        self._calls: dict[str, Receiver] = {}
        self._port = MEDIA_PORT
        self._talk, self._listener = "", ("", 0)
        self._speaker: Speaker | None = None
        self._order = 0
        self._deaf, self._address = False, host
        self._types: tuple[int, ...] = (96,)
        self._right = known
        self._records: list[tuple[int | None, int | None]] = []
        self.facts: dict[str, Any] = {
            "online": False, "channels": {}, "notices": [], "alarms": [], "positions": [], "faulty": [], "talk": "", "answered": "",
            "presets": [],
        }  # fmt: skip

    async def run(self, orders: Path) -> None:
        await self._udp.start()
        await self._lines.listen(self._local)
        async with await orders_of.serve(orders, self._obey) as server:
            await server.serve_forever()

    def _obey(self, words: list[str]) -> dict[str, Any]:
        now = time.monotonic()
        name = words.pop(0) if words and words[0].startswith("@") else ""
        verb, rest = (words[0], words[1:]) if words else ("", [])
        call = self._calls.get(name)
        if verb in ("play", "playback", "download"):
            self._play(name, verb, rest, now)
        elif call is not None and call.leg is not None:
            self._obey_call(call, call.leg, verb, rest, now)
        self._obey_else(verb, rest, now)
        self._udp.flush()
        return self._facts()

    def _obey_call(self, call: Receiver, named: str, verb: str, rest: list[str], now: float) -> None:
        if verb == "again":
            leg = self._platform._legs._by_name[named]
            again = leg.dialog.request("INVITE", ("Contact", "<sip:a@b>"), ("Content-Type", "application/sdp"),
                                       body=bytes.fromhex(rest[0]))  # fmt: skip
            self._platform._endpoint.send_request(again, leg.peer, now)
        elif verb == "stop":
            self._platform.hang_up(named, now)
            call.facts["call"] = "stopped"
        elif verb in ("pause", "resume", "scale", "seek"):
            self._steer(named, verb, rest, now)
        elif verb == "mark":
            call.mark()
        elif verb == "over":
            call.finish()
        elif verb == "back":
            call.back(bytes.fromhex(rest[0]))
        elif verb in ("read", "unread"):
            call.read(on=verb == "read")
        elif verb == "lost":
            call.lost = int(rest[0]) if rest else None

    def _obey_else(self, verb: str, rest: list[str], now: float) -> None:
        if verb == "":
            return
        elif verb == "raw":
            self._lines.say(bytes.fromhex(rest[0] if rest else ""))
        elif verb in ("deaf", "address", "password"):
            self._set_wrongly(verb, rest)
        elif verb == "offers":
            self._types = tuple(int(each) for each in rest[0].split(","))
        elif verb == "catalog":
            self._platform.query_catalog(self._box, now)
        elif verb == "subscribe":
            self._platform.watch(self._box, rest[0], now)
        elif verb in ("records", "presets", "do", "deny", "broadcast"):
            self._ask(verb, rest, now)

    def _set_wrongly(self, verb: str, rest: list[str]) -> None:
        if verb == "deaf":
            self._deaf = bool(rest)
        elif verb == "address":
            self._address = rest[0] if rest else self._host
        else:
            binding = self._platform._bindings[self._box]
            binding.known = replace(self._right, password=rest[0]) if rest else self._right
            binding.tries.right()
            self._lines.say(b"this is no SIP\r\n\r\n")  # whoever hears it hangs up, and registers anew

    def _steer(self, leg: str, verb: str, rest: list[str], now: float) -> None:
        wanted = {
            "pause": lambda: PlaybackRequest("PAUSE"),
            "resume": lambda: PlaybackRequest("PLAY"),
            "scale": lambda: PlaybackRequest("PLAY", scale=int(float(rest[0]) * 100)),
            "seek": lambda: PlaybackRequest("PLAY", position=int(rest[0]) * 1000),
        }[verb]()
        self._order += 1
        self._platform.control_playback(leg, self._order, wanted, now)

    def _ask(self, verb: str, rest: list[str], now: float) -> None:
        channel = rest[0]

        def make(sn: int) -> Ask:
            if verb == "records":
                return RecordInfoQuery(sn, channel, int(rest[1]), int(rest[2]))
            if verb == "presets":
                return PresetQuery(sn, channel)
            if verb == "broadcast":
                return Broadcast(sn, self._id, channel)
            if verb == "deny":
                return TeleBoot(sn, channel)
            values = tuple(int(each) for each in rest[2].split(",")) if len(rest) > 2 else ()
            return control_of(rest[1], values, sn, channel)

        self.facts["asked"] = self._platform.ask(self._box, make, now)
        self.facts |= (
            {"answered": "", "items": 0, "total": None, "refusal": 0} if verb != "broadcast" else {"talk": "asked"}
        )
        self._records.clear()

    def _facts(self) -> dict[str, Any]:
        calls = {name: call.told() for name, call in self._calls.items()}
        return {
            **_NO_CALL,
            **self.facts,
            **calls.pop("", {}),
            "calls": calls,
            "refused": dict(self._platform.counters),
            "heard": dict(self._platform.told),
            "box_at": self._box_at(),
        }

    def _box_at(self) -> str:
        """Where the box is registered from, "" when it is not."""
        address = self._platform._bindings[self._box].address
        return address.host if address is not None else ""

    def _play(self, name: str, verb: str, rest: list[str], now: float) -> None:
        if name in self._calls:
            self._calls.pop(name).close()
        framed = rest[-1] == "tcp"
        self._port += 2
        how = rest[-1] if verb == "play" and len(rest) > 1 else ""
        reports = int(how) if how.isdigit() else self._port + (how != "mux")
        heard = None if self._deaf or how == "quiet" else reports
        ssrc = SSRC + len(self._calls) * 1000
        call = Receiver(self._host, self._port + self._deaf, ssrc, framed, self._types, heard)
        call.facts["port"] = self._port  # what is offered, which a deaf city does not listen at
        self._calls[name] = call
        session = {"play": "Play", "playback": "Playback", "download": "Download"}[verb]
        offer = MediaDescription.offer(
            session_name=session,
            origin_id=self._id,
            address=self._address,
            port=self._port,
            payload_types=self._types,
            ssrc=call.ssrc,
        )
        offer = replace(offer, mux=how == "mux", reports=reports if how.isdigit() else None)
        if framed:
            offer = offer.framed("passive")
        if verb != "play":
            offer = offer.of_recording(rest[0], int(rest[1]), int(rest[2]), 4 if verb == "download" else None)
        for stream, word in enumerate(("main", "sub")):
            if word in rest:
                offer = offer.of_stream(stream, "streamnumber")
        viewer = next((word[3:] for word in rest if word.startswith("as=")), "")
        call.leg = self._platform.invite(self._box, rest[0], offer, now, viewer)
        if call.leg is None:
            call.facts["call"] = "offline"

    def _event(self, event: Any, now: float) -> None:
        if not isinstance(event, Answered):
            print(event, file=sys.stderr, flush=True)
        if isinstance(event, DeviceOnline):
            self.facts["online"] = True
        elif isinstance(event, DeviceOffline):
            self.facts["online"] = False
        elif isinstance(event, CatalogReceived):
            if event.complete:
                self.facts["channels"] = {}
            self.facts["channels"] |= {item.device_id: [item.name, item.status] for item in event.items}
        elif isinstance(event, ChannelChanged):
            self.facts["notices"].append([event.channel, event.online])
        elif isinstance(event, ChannelsFaulty):
            self.facts["faulty"] = list(event.channels)
        elif isinstance(event, AlarmReceived):
            alarm = event.alarm
            self.facts["alarms"].append(
                [alarm.device_id, alarm.priority, alarm.method, alarm.alarm_type, alarm.description]
            )
        elif isinstance(event, PositionReceived):
            self.facts["positions"].append(
                [event.position.device_id, event.position.longitude, event.position.latitude]
            )
        else:
            self._call_event(event, now)

    def _call_event(self, event: Any, now: float) -> None:
        leg = getattr(event, "call", "")
        call = next((each for each in self._calls.values() if each.leg == leg), None)
        if call is not None:
            _told(call.facts, event)
        elif isinstance(event, CallEnded) and leg == self._talk:
            self.facts["talk"] = "ended"
            self._speak(on=False)
        elif isinstance(event, Answered):
            self._answered(event.body)
        elif isinstance(event, AskRefused):
            self.facts |= {"answered": "refused", "refusal": event.status}
        elif isinstance(event, ControlSent):
            self.facts["answered"] = "sent"
        elif isinstance(event, InviteReceived):
            # The box asks for the sound that was announced.
            self._talk = event.call
            self.facts["talk"] = f"{event.offer.media} {event.offer.payload_types[0]}"
            self._listener = (event.offer.address, event.offer.port)
            answer = event.offer.answer(origin_id=self._id, address=self._host, port=TALK_PORT, payload_type=PCMA,
                                        ssrc=SSRC)  # fmt: skip
            self._platform.accept(event.call, answer, now)
        elif isinstance(event, CallEstablished):
            self.facts["talk"] = "established"
            self._speak(on=True)

    def _speak(self, on: bool) -> None:
        if self._speaker is not None:
            self._speaker.stop()
        self._speaker = Speaker((self._host, TALK_PORT), self._listener, SSRC) if on else None

    def _answered(self, body: Any) -> None:
        if isinstance(body, RecordInfoResponse):
            self._records += [(item.start, item.end) for item in body.items]
            self.facts |= {"items": len(self._records), "total": body.total, "distinct": len(set(self._records))}
        elif isinstance(body, PresetResponse):
            self.facts["presets"] = [[each.preset_id, each.name] for each in body.presets]
        else:
            self.facts["answered"] = f"{body.command} {body.result}"


def _told(facts: dict[str, Any], event: Any) -> None:
    """Write down what became of a call."""
    if isinstance(event, CallAnswered):
        facts |= {
            "call": "answered",
            "sender": [event.answer.address, event.answer.port],
            "stream": event.answer.stream,
            "answer": [list(event.answer.payload_types), [list(each) for each in event.answer.rtpmap]],
        }
    elif isinstance(event, CallFailed):
        facts |= {"call": "failed", "status": event.status, "cause": event.cause}
    elif isinstance(event, CallEnded):
        facts["call"] = "ended"
    elif isinstance(event, PlaybackAnswered):
        facts["playback"].append(event.status)
    elif isinstance(event, MediaEnded):
        facts["finished"] = True


if __name__ == "__main__":

    async def _main() -> None:
        secrets, orders, edition, own_id, host, box, boxes = sys.argv[1:]
        city = City(Path(secrets), int(edition), own_id, host, box, frozenset(boxes.split(",")))
        await city.run(Path(orders))

    asyncio.run(_main())
