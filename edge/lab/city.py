"""The lab's city: the product's own platform role, a receiver of RTP, and the judge of its pictures.

It takes one-line orders on a unix socket: ``play CHANNEL``, ``playback CHANNEL START END``, ``pause``, ``resume``,
``scale N``, ``seek SECONDS``, ``stop``, ``catalog``, ``records CHANNEL START END``, ``presets CHANNEL``,
``do CHANNEL ACTION NUMBERS``, ``deny CHANNEL TELEBOOT``, ``subscribe KIND``, ``broadcast CHANNEL``, ``facts``; and, meaning ill, ``raw HEX`` (octets down its connections) and ``again HEX`` (a
second INVITE in the call, with this description). Set up wrongly, it obeys ``deaf`` (from now on nobody listens where
its offers say), ``address A`` (they name this one), ``password P`` (the site's is another from now on, and its connection
ends), and with nothing behind each word is right again.
"""

from __future__ import annotations

import asyncio
import socket
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
from edge.lab.topology import TUNNEL_IP
from edge.lab.video import Judge
from edge.manscdp.control import TeleBoot
from edge.manscdp.device import PresetQuery, PresetResponse
from edge.manscdp.events import Broadcast
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse
from edge.mansrtsp.control import PlaybackRequest
from edge.rtp.packet import RemoteRtpError, RtpPacket
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from netconf.secrets import read_password

ID, DOMAIN, BOX_ID = "34020000002000000001", "3402000000", "34020000002008000001"
MEDIA_PORT = 40000
SSRC = 200_004_321


class _Hearing(Platform):
    """Counts what is said to it, by method."""

    def __init__(self, config: PlatformConfig) -> None:
        super().__init__(config, SystemChance())
        self.told: Counter[str] = Counter()

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        self.told[data.partition(b" ")[0][:16].decode("ascii", "replace")] += 1
        super().receive_datagram(data, addr, now)


class City:
    """One platform's process; ``box`` is the id that it knows the box by."""

    def __init__(self, secrets: Path, edition: int, own_id: str, host: str, box: str) -> None:
        self._id, self._host, self._box = own_id, host, box
        local = Address(host, 5060)
        known = KnownDevice(box, read_password(secrets, f"platform-{own_id}") or "", frozenset({TUNNEL_IP}))
        config = PlatformConfig(own_id, DOMAIN, local, DOMAIN, (known,), keepalive_seconds=10, user_agent="lab city",
                                edition=edition)  # fmt: skip
        self._platform = _Hearing(config)
        self._udp = UdpShell(self._platform, local, self._event)
        self._local = local
        self._lines = TcpLines(self._udp.receive)
        self._udp.lines = self._lines
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._judge: Judge | None = None
        self._port = MEDIA_PORT
        self._call: str | None = None
        self._talk = ""
        self._order = 0
        self._deaf, self._address = False, host
        self._right = known
        self._records: list[tuple[int | None, int | None]] = []
        self.facts: dict[str, Any] = {
            "online": False, "channels": {}, "call": "", "packets": 0, "foreign_ssrc": 0, "notices": [], "alarms": [],
            "positions": [], "faulty": [], "playback": [], "talk": "", "presets": [], "finished": False,
        }  # fmt: skip

    async def run(self, orders: Path) -> None:
        await self._udp.start()
        await self._lines.listen(self._local)
        async with await orders_of.serve(orders, self._obey) as server:
            await server.serve_forever()

    def _obey(self, words: list[str]) -> dict[str, Any]:
        now = time.monotonic()
        verb, rest = (words[0], words[1:]) if words else ("", [])
        if verb in ("play", "playback", "download"):
            self._play(verb, rest, now)
        elif verb == "raw":
            self._lines.say(bytes.fromhex(rest[0] if rest else ""))
        elif verb in ("deaf", "address", "password"):
            self._set_wrongly(verb, rest)
        elif verb == "again" and self._call is not None:
            leg = self._platform._legs._by_name[self._call]
            again = leg.dialog.request("INVITE", ("Contact", "<sip:a@b>"), ("Content-Type", "application/sdp"),
                                       body=bytes.fromhex(rest[0]))  # fmt: skip
            self._platform._endpoint.send_request(again, leg.peer, now)
        elif verb == "stop" and self._call is not None:
            self._platform.hang_up(self._call, now)
            self.facts["call"] = "stopped"
        elif verb == "catalog":
            self._platform.query_catalog(self._box, now)
        elif verb == "subscribe":
            self._platform.watch(self._box, rest[0], now)
        elif verb in ("pause", "resume", "scale", "seek") and self._call is not None:
            self._steer(verb, rest, now)
        elif verb in ("records", "presets", "do", "deny", "broadcast"):
            self._ask(verb, rest, now)
        self._udp.flush()
        return self._facts()

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

    def _steer(self, verb: str, rest: list[str], now: float) -> None:
        wanted = {
            "pause": lambda: PlaybackRequest("PAUSE"),
            "resume": lambda: PlaybackRequest("PLAY"),
            "scale": lambda: PlaybackRequest("PLAY", scale=int(float(rest[0]) * 100)),
            "seek": lambda: PlaybackRequest("PLAY", position=int(rest[0]) * 1000),
        }[verb]()
        self._order += 1
        assert self._call is not None  # looked at before
        self._platform.control_playback(self._call, self._order, wanted, now)

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
            {"answered": "", "items": 0, "total": None, "status": 0} if verb != "broadcast" else {"talk": "asked"}
        )
        self._records.clear()

    def _facts(self) -> dict[str, Any]:
        verdict = self._judge.verdict if self._judge is not None else None
        seen = {} if verdict is None else {
            "right": verdict.right, "wrong": verdict.wrong, "errors": verdict.errors[:20],
            "error_count": len(verdict.errors), "last": verdict.last_number, "first_at": verdict.first_at,
        }  # fmt: skip
        return {
            **self.facts,
            "refused": dict(self._platform.counters),
            "heard": dict(self._platform.told),
            "judge": seen,
        }

    def _play(self, verb: str, rest: list[str], now: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._media.fileno())
        self._media.close()
        self._port += 2
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._media.bind((self._host, self._port + self._deaf))
        self._media.setblocking(False)
        if self._judge is not None:
            self._judge.finish()
        self._judge = Judge()
        loop.add_reader(self._media.fileno(), self._receive)
        session = {"play": "Play", "playback": "Playback", "download": "Download"}[verb]
        offer = MediaDescription.offer(
            session_name=session,
            origin_id=self._id,
            address=self._address,
            port=self._port,
            payload_types=(96,),
            ssrc=SSRC,
        )
        if verb != "play":
            offer = offer.of_recording(rest[0], int(rest[1]), int(rest[2]), 4 if verb == "download" else None)
        self.facts |= {
            "call": "asked",
            "asked_at": now,
            "status": 0,
            "packets": 0,
            "port": self._port,
            "playback": [],
            "finished": False,
        }
        self._call = self._platform.invite(self._box, rest[0], offer, now)
        if self._call is None:
            self.facts["call"] = "offline"

    def _receive(self) -> None:
        for _ in range(256):
            try:
                data, _ = self._media.recvfrom(65536)
            except OSError:
                return
            try:
                packet = RtpPacket.parse(data)
            except RemoteRtpError:
                self.facts["foreign_ssrc"] += 1
                continue
            if packet.ssrc != SSRC or packet.payload_type != 96:
                self.facts["foreign_ssrc"] += 1
                continue
            if not self.facts["packets"]:
                self.facts["first_packet_at"] = time.monotonic()
            self.facts["packets"] += 1
            if self._judge is not None:
                self._judge.feed(packet.payload)

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
        if isinstance(event, CallAnswered):
            self.facts |= {"call": "answered", "sender": [event.answer.address, event.answer.port]}
        elif isinstance(event, CallFailed):
            self.facts |= {"call": "failed", "status": event.status, "cause": event.cause}
        elif isinstance(event, CallEnded):
            self.facts["talk" if event.call == self._talk else "call"] = "ended"
        elif isinstance(event, PlaybackAnswered):
            self.facts["playback"].append(event.status)
        elif isinstance(event, MediaEnded):
            self.facts["finished"] = True
        elif isinstance(event, Answered):
            self._answered(event.body)
        elif isinstance(event, AskRefused):
            self.facts |= {"answered": "refused", "status": event.status}
        elif isinstance(event, ControlSent):
            self.facts["answered"] = "sent"
        elif isinstance(event, InviteReceived):
            # The box asks for the sound that was announced.
            self._talk = event.call
            self.facts["talk"] = f"{event.offer.media} {event.offer.payload_types[0]}"
            answer = event.offer.answer(origin_id=self._id, address=self._host, port=41000, payload_type=8, ssrc=SSRC)
            self._platform.accept(event.call, answer, now)
        elif isinstance(event, CallEstablished):
            self.facts["talk"] = "established"

    def _answered(self, body: Any) -> None:
        if isinstance(body, RecordInfoResponse):
            self._records += [(item.start, item.end) for item in body.items]
            self.facts |= {"items": len(self._records), "total": body.total, "distinct": len(set(self._records))}
        elif isinstance(body, PresetResponse):
            self.facts["presets"] = [[each.preset_id, each.name] for each in body.presets]
        else:
            self.facts["answered"] = f"{body.command} {body.result}"


if __name__ == "__main__":

    async def _main() -> None:
        secrets, orders, edition, own_id, host, box = sys.argv[1:]
        await City(Path(secrets), int(edition), own_id, host, box).run(Path(orders))

    asyncio.run(_main())
