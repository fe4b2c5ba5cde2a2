"""The ferry's shell: listeners, the one blocking loop, descriptors. What happens is decided in ``core``.

Order of birth, which is the order of trust: read the confirmed configuration, open the three listeners and the two
files that are written later (receipts and status), fork the nursery of the relay workers, and only then load the seccomp filter. From there on the process
can make no socket, open no file and reach no address; it holds what it was handed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.control.wire import (
    ControlError,
    Done,
    FerryRequest,
    Hello,
    PinRequest,
    ReceiptHead,
    Refusal,
    decode_answer,
    decode_hello,
    encode_request,
)
from edge.ferry import nursery, relay, seccomp
from edge.ferry.calls import PassedSocket
from edge.ferry.commands import (
    AskKeeper,
    CloseDescriptor,
    Command,
    DropSide,
    JoinRelay,
    LeaveRelay,
    Send,
    StartRelay,
    StopRelay,
    WriteReceipt,
)
from edge.ferry.core import Ferry
from edge.ferry.descriptor import BadDescriptor, addresses, let_go, receive
from edge.ferry.ledger import Ledger, Tools
from edge.ferry.receipts import Head, Moment
from edge.ferry.relays import Relays
from edge.ferry.ring import Disk, Untrusted
from edge.ferry.verify import wire
from edge.io import rights, seqpacket, status
from edge.io.confirmed import Confirmed, Places, places
from edge.io.log import Log
from edge.records.types import STREAMS, Party
from edge.rtp.quality import Quality, verdict
from netconf.model import Site
from netconf.notify import Supervisor

TICK_SECONDS = 0.5
#: One a core on a small box.
WORKERS = 2
_MOST_DESCRIPTORS = 1
_MOST_WAITING_REQUESTS = 256
_MOST_RECORDS_PER_WAKE = 32
_BACKLOG = 2
#: The keeper writes each head durably; a city that misses a minute of receipts misses it from the keeper's head, too.
HEAD_SECONDS = 60.0
#: What a reader of the receipts may say he reads them for.
READERS = (b"list", b"page", b"export")
_MOST_READERS = 4
#: Who may dial which listener; the rights of the folders that they stand in say the same.
_CALLERS: dict[str, tuple[str, ...]] = {
    Party.SITE: ("snowgate-siteside",),
    Party.CITY: ("snowgate-cityside",),
    "keeper": ("snowgate-keeper",),
    "reader": ("snowgate-web", "root"),
}
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Process:
    """One life of the ferry."""

    def __init__(self, site: Site, where: Places, confirmed: Confirmed, log: Log) -> None:
        self._log = log
        self._core = Ferry(site)
        self._confirmed = confirmed
        self._selector = selectors.EpollSelector()
        self._sides: dict[Party, socket.socket] = {}
        self._outboxes = {side: seqpacket.Outbox() for side in (Party.SITE, Party.CITY)}
        self._keeper: socket.socket | None = None
        self._greeted = False
        self._hello: Hello | None = None
        self._asked: dict[int, FerryRequest] = {}
        self._next_id = 1
        self._receipts = Ledger(where.state / "receipts", Tools(_clock(), Disk()))
        self._readers: list[socket.socket] = []
        self._head_told, self._head_due, self._head_refused = Head(), 0.0, ""
        self._status = os.open(status.path(where.run, "ferry"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._streams: dict[int, relay.StreamTold] = {}
        self._viewers: dict[int, relay.ViewerTold] = {}
        #: What did not go on of pulls that are over, by rule.
        self._dropped: Counter[str] = Counter()
        self._uids = {who: {rights.uid_of(user) for user in users} for who, users in _CALLERS.items()}
        self._told = ""
        self._listen(where.run / "ferry" / "site" / "socket", ("side", Party.SITE))
        self._listen(where.run / "ferry" / "city" / "socket", ("side", Party.CITY))
        self._listen(where.run / "ferry" / "keeper" / "socket", ("keeper", None))
        self._listen(where.run / "ferry" / "reader" / "socket", ("reader", None))
        self._nursery = nursery.start(WORKERS, seccomp.load_nursery, seccomp.load_worker)
        self._relays = Relays(self._nursery.controls)
        for place, control in enumerate(self._nursery.controls):
            self._selector.register(control, selectors.EVENT_READ, ("worker", place))
        self._selector.register(self._nursery.notice, selectors.EVENT_READ, ("nursery", None))

    def _listen(self, path: Path, meaning: tuple[str, Party | None]) -> None:
        listener = seqpacket.listen(path, _BACKLOG)
        os.set_blocking(listener.fileno(), False)
        self._selector.register(listener, selectors.EVENT_READ, ("listen", meaning))

    def run(self, supervisor: Supervisor) -> int:
        """Serve until the configuration changes; the supervisor starts us again."""
        seccomp.load_parent([control.fileno() for control in self._nursery.controls])
        try:
            while not self._confirmed.changed():
                supervisor.beat()
                for key, events in self._selector.select(0.0 if self._receipts.busy else TICK_SECONDS):
                    if events & selectors.EVENT_WRITE:
                        self._write_side(key.data[1])
                    if events & selectors.EVENT_READ and not self._ready(key):
                        return 1
                if self._relays.stuck(time.monotonic()):
                    self._log.say("relay_stuck")
                    return 1
                self._core.handle_timer(time.monotonic())
                self._act()
                self._receipts.settle()
                self._tell_head()
                self._write_status()
        except Untrusted as lost:
            self._log.say("receipt_not_synced", lost.reason)
            return 1
        self._receipts.settle()
        return 0

    def _ready(self, key: selectors.SelectorKey) -> bool:
        what, detail = key.data
        opened: Any = key.fileobj
        if what == "listen":
            self._accept(opened, *detail)
        elif what == "side":
            self._read_side(opened, detail)
        elif what == "keeper":
            self._read_keeper(opened)
        elif what == "reader":
            self._read_reader(opened)
        elif what == "worker":
            self._read_worker(detail)
        else:
            return self._read_notice()
        self._act()
        return True

    # -- lines ---------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, role: str, side: Party | None) -> None:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        if _uid(line) not in self._uids[side or role]:
            self._core.counters["caller_refused"] += 1
            line.close()
            return
        # os.set_blocking is an ioctl, which the filter refuses.
        fcntl.fcntl(line.fileno(), fcntl.F_SETFL, os.O_NONBLOCK)
        if role == "keeper":
            self._lose_keeper()
            self._keeper, self._greeted = line, False
        elif role == "reader":
            self._readers.append(line)
            if len(self._readers) > _MOST_READERS:
                self._lose_reader(self._readers[0])
        elif side is not None:
            self._lose_side(side)
            self._sides[side] = line
            self._core.on_side_up(side)
            self._log.say("side_connected", side.value)
        self._selector.register(line, selectors.EVENT_READ, (role, side))
        self._act()

    def _read_side(self, line: socket.socket, side: Party) -> None:
        for _ in range(_MOST_RECORDS_PER_WAKE):
            if self._sides.get(side) is not line:
                return
            try:
                data, descriptors = receive(line, _MOST_DESCRIPTORS)
            except BlockingIOError:
                return
            except BadDescriptor as bad:
                self._core.fault(side, bad.rule)
                self._act()
                return
            except OSError:
                data, descriptors = b"", []
            if not data and not descriptors:
                self._lose_side(side)
                return
            self._take(side, data, descriptors)
            self._act()

    def _write_side(self, side: Party) -> None:
        line, outbox = self._sides.get(side), self._outboxes[side]
        if line is None:
            return
        try:
            outbox.flush(line)
        except OSError:
            self._lose_side(side)
            return
        if not outbox:
            self._selector.modify(line, selectors.EVENT_READ, ("side", side))

    def _send(self, side: Party, data: bytes) -> None:
        line, outbox = self._sides.get(side), self._outboxes[side]
        if line is None:
            return
        waited = bool(outbox)
        try:
            outbox.send(line, data)
        except OSError:
            self._lose_side(side)
            return
        if outbox and not waited:
            self._selector.modify(line, selectors.EVENT_READ | selectors.EVENT_WRITE, ("side", side))

    def _take(self, side: Party, data: bytes, descriptors: list[int]) -> None:
        sockets = []
        try:
            sockets = [self._passed(side, descriptor) for descriptor in descriptors]
        except BadDescriptor as bad:
            for descriptor in descriptors:
                os.close(descriptor)
            self._core.fault(side, bad.rule)
            return
        self._core.on_record(side, data, tuple(sockets), time.monotonic())

    def _passed(self, side: Party, descriptor: int) -> PassedSocket:
        """Return what came, if it is a connected socket of the side's own namespace.

        Raises:
            BadDescriptor: it is not, or the keeper has not yet told which namespace is whose.
        """
        if self._hello is None:
            raise BadDescriptor("keeper_away")
        cookie = self._hello.lan_cookie if side is Party.SITE else self._hello.vpn_cookie
        return PassedSocket(descriptor, *addresses(descriptor, cookie))

    def _lose_side(self, side: Party) -> None:
        line = self._sides.pop(side, None)
        if line is None:
            return
        self._selector.unregister(line)
        self._outboxes[side].clear()
        line.close()
        self._log.say("side_gone", side.value)
        self._core.on_side_lost(side, time.monotonic())
        self._act()

    # -- keeper --------------------------------------------------------------------------------------------------

    def _read_keeper(self, line: socket.socket) -> None:
        try:
            data = line.recv(4096)
            if not data:
                raise ConnectionResetError
            if not self._greeted:
                self._hello, self._greeted = decode_hello(data), True
                self._log.say("keeper_connected")
                self._core.on_keeper_up()
                return
            number, answer = decode_answer(data)
        except (OSError, ControlError):
            self._lose_keeper()
            return
        asked = self._asked.pop(number, None)
        if isinstance(asked, ReceiptHead):
            self._take_head(answer.rule if isinstance(answer, Refusal) else "")
        elif asked is not None:
            self._core.on_pin(asked, isinstance(answer, Done), time.monotonic())

    def _lose_keeper(self) -> None:
        if self._keeper is None:
            return
        self._selector.unregister(self._keeper)
        self._keeper.close()
        self._keeper, self._head_told, self._head_due = None, Head(), 0.0
        self._asked.clear()
        self._core.on_keeper_lost(time.monotonic())

    def _ask(self, request: FerryRequest) -> None:
        number, self._next_id = self._next_id, self._next_id + 1
        try:
            if self._keeper is None or len(self._asked) >= _MOST_WAITING_REQUESTS:
                raise ConnectionResetError
            self._keeper.send(encode_request(number, request))
        except OSError:
            if isinstance(request, PinRequest):
                self._core.on_pin(request, False, time.monotonic())
            return
        self._asked[number] = request

    # -- receipts ------------------------------------------------------------------------------------------------

    def _tell_head(self) -> None:
        """Tell the keeper how far the receipts have come: at the start, and once a minute when it changed."""
        now, head = time.monotonic(), self._receipts.head
        untold = head.sequence and head != self._head_told and now >= self._head_due
        if untold and self._greeted and self._keeper is not None:
            self._head_told, self._head_due = head, now + HEAD_SECONDS
            self._ask(ReceiptHead(head.sequence, head.hash))

    def _take_head(self, refused: str) -> None:
        self._head_refused = refused
        if refused:
            self._head_told = Head()

    def _read_reader(self, line: socket.socket) -> None:
        """Somebody wants to read receipts: who he is, by the kernel's word, is written down before he hears yes."""
        try:
            what = line.recv(64)
        except OSError:
            what = b""
        if what not in READERS:
            self._lose_reader(line)
            return
        recorded = self._receipts.read(_uid(line), what.decode("ascii"))
        head = self._receipts.head
        answer = {"recorded": recorded, "sequence": head.sequence, "hash": head.hash}
        with contextlib.suppress(OSError):
            line.send(json.dumps(answer).encode("ascii"))

    def _lose_reader(self, line: socket.socket) -> None:
        self._selector.unregister(line)
        line.close()
        self._readers.remove(line)

    # -- relay ---------------------------------------------------------------------------------------------------

    def _read_worker(self, place: int) -> None:
        try:
            data = self._nursery.controls[place].recv(relay.MAX_REPORT_BYTES)
        except OSError:
            return
        self._relays.heard(place, time.monotonic())
        for told in relay.reports(data):
            if isinstance(told, relay.StreamTold):
                if told.stream not in self._core.media.pulls:
                    continue  # the worker had not heard yet that it is over
                self._streams[told.stream] = self._relays.stream(told)
                self._core.media.on_stream(self._streams[told.stream], time.monotonic())
            else:
                self._viewers[told.call] = told
                said = (told.lost, told.trip_ms)
                self._core.on_viewer(told.call, *self._relays.viewer(told), told.gone, time.monotonic(), said)

    def _read_notice(self) -> bool:
        """A worker died and another is in its place: it is told that worker's calls. Without the nursery we begin anew."""
        filled = os.read(self._nursery.notice, 16)
        for place in set(filled):
            self._log.say("relay_worker_died", str(place))
            self._core.counters["relay_worker_died"] += 1
            self._relays.again(place)
        return bool(filled)

    # -- commands ------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        for command in self._core.commands():
            self._do(command)

    def _do(self, command: Command) -> None:
        if isinstance(command, Send):
            self._send(command.to, wire(command.record))
        elif isinstance(command, AskKeeper):
            self._ask(command.request)
        elif isinstance(command, StartRelay | JoinRelay | LeaveRelay | StopRelay):
            self._relays.do(command)
        elif isinstance(command, CloseDescriptor):
            let_go(command.descriptor)
        elif isinstance(command, WriteReceipt):
            self._receipts.view(command.event, command.call, command.told)
        elif isinstance(command, DropSide):
            self._log.say("side_faulty", f"{command.side.value}: {command.rule}")
            self._lose_side(command.side)
            self._core.on_side_away(command.side, time.monotonic())

    # -- what is told --------------------------------------------------------------------------------------------

    def _write_status(self) -> None:
        """Write into the file that was opened before the filter: truncate, then write from the start."""
        now = time.monotonic()
        media = self._core.media
        talks = self._core.talks.talks
        for number in self._streams.keys() - media.pulls.keys() - talks.keys():
            self._dropped.update(self._streams.pop(number).dropped)
        self._viewers = {n: told for n, told in self._viewers.items() if n in media.views or n in talks}
        facts = {
            "keeper": self._keeper is not None and self._greeted,
            "sides": sorted(side.value for side in self._sides),
            "faulty": {side.value: count for side, count in self._core.faulty.items()},
            "counters": dict(self._core.counters + self._receipts.counters),
            "dropped": dict(sum((Counter(told.dropped) for told in self._streams.values()), self._dropped)),
            "findings": self._receipts.findings() + [f"receipt_{self._head_refused}"] * bool(self._head_refused),
            "receipts": self._receipts.facts(),
            "talks": {str(number): self._talk(number) for number in talks},
            "views": {str(number): self._view(number, now) for number in media.views},
            "pid": os.getpid(),
        }
        text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
        if text != self._told:
            os.ftruncate(self._status, 0)
            os.pwrite(self._status, text.encode("utf-8") + b"\n", 0)
            self._told = text

    def _talk(self, number: int) -> dict[str, object]:
        talk, stream = self._core.talks.talks[number], self._streams.get(number)
        request = talk.request
        return {
            "recorder": request.recorder,
            "channel": request.channel,
            "viewer": request.viewer,
            "platform": request.platform,
            "flows": talk.flows,
            "packets": talk.packets,
            "dropped": stream.dropped if stream else {},
        }

    def _view(self, number: int, now: float) -> dict[str, object]:
        view = self._core.media.views[number]
        pull, stream, sent = self._core.media.pulls[view.pull], self._streams.get(view.pull), self._viewers.get(number)
        return {
            "recorder": view.request.recorder,
            "channel": view.request.channel,
            "kind": view.request.kind,
            "stream": STREAMS[view.request.stream],
            "asked": STREAMS[view.asked],
            "viewer": view.request.viewer,
            "platform": view.request.platform,
            "state": pull.state.value,
            "seconds": int(now - view.began),
            "packets": view.packets,
            "dropped": (stream.dropped if stream else {}) | _unsent(sent),
            "lost": stream.lost if stream else 0,
            "pictures": stream.pictures if stream else 0,
            "quality": _quality(view.quality(pull)),
            "protected": bool(stream and stream.protected),
            "recut": sent.recut if sent else 0,
            "pull": view.pull,
            "format": pull.format,
            "lan_port": pull.lan_port,
            "source": list(pull.source.peer) if pull.source else None,
            "sink": [list(view.way.local), list(view.way.peer)],
            "transport": [pull.source.transport if pull.source else "", view.way.transport],
        }


def _unsent(sent: relay.ViewerTold | None) -> dict[str, int]:
    """What did not reach a viewer, and what of its own words was no report."""
    found = {} if sent is None else {"send_failed": sent.failed, "report_unread": sent.unread}
    return {rule: count for rule, count in found.items() if count}


def _quality(quality: Quality) -> dict[str, object]:
    return {**asdict(quality), "below": list(verdict(quality))}


def _uid(line: socket.socket) -> int:
    peer = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", peer)[1])


def _clock() -> Callable[[], Moment]:
    """Return a clock whose moments name this boot; the boot's id is read here, for later no file can be opened."""
    boot = _BOOT_ID.read_text(encoding="ascii").strip()
    return lambda: Moment(boot, round(time.monotonic(), 3), datetime.now(UTC).isoformat(timespec="milliseconds"))


def main() -> int:
    """Run one life; the supervisor starts the next."""
    where, log, supervisor = places("snowgate-ferry"), Log("ferry"), Supervisor()
    confirmed = Confirmed(where.run, "ferry.json")
    supervisor.ready()
    while (site := confirmed.read_enrolled()) is None:
        supervisor.beat()
        time.sleep(TICK_SECONDS)
    return Process(site, where, confirmed, log).run(supervisor)
