"""The shell of DHCP and names: one packet socket, one question's socket, the keeper's ear, and one loop."""

from __future__ import annotations

import json
import selectors
import socket
import time
from ipaddress import IPv4Address
from pathlib import Path

from edge.control.client import SMALL_SECONDS, ask
from edge.control.wire import ControlError, Lease, NoLease, Refusal, Resolved, Stale, StatusReport, UplinkRequest
from edge.io.chance import SystemChance
from edge.io.confirmed import Confirmed, places
from edge.io.log import Log
from edge.io.rights import keep_only
from edge.io.status import StatusFile
from edge.uplink.dhcp import Client, Given, Leased
from edge.uplink.names import MAX_ANSWER_BYTES, MAX_KNOWN, Names
from edge.uplink.port import Port, PortState
from netconf import durable
from netconf.model import Site
from netconf.notify import Supervisor

TICK_SECONDS = 1.0
#: How often the keeper is asked which tunnels are stale; it counts minutes, so this adds little.
STALE_SECONDS = 10.0
#: What the keeper refused is offered again: it may have been busy, or the LAN may have been changed meanwhile.
RETELL_SECONDS = 30.0
MAX_KNOWN_BYTES = 1 << 13
_DNS_PORT = 53


class Uplink:
    """One life of the program."""

    def __init__(self, run: Path, state: Path) -> None:
        self._run = run
        self._kept = state / "endpoints.json"
        self._confirmed = Confirmed(run)
        self._site: Site | None = None
        self._log = Log("uplink")
        self._status = StatusFile(run, "uplink")
        self._chance = SystemChance()
        self._selector = selectors.DefaultSelector()
        self._port = Port()
        self._selector.register(self._port.socket, selectors.EVENT_READ, "port")
        self._selector.register(self._port.changes, selectors.EVENT_READ, "changes")
        self._unplugged = False
        self._seen: PortState | None = None
        #: The port that asks by DHCP, "" when none does.
        self._port_name = ""
        self._client: Client | None = None
        self._given: Given | None = None
        self._names = Names(self._chance, read_known(self._kept))
        self._written = {host: str(address) for host, address in self._names.known.items()}
        self._question: socket.socket | None = None
        #: What the keeper has to hear, by what it is about; a later word replaces an earlier one.
        self._untold: dict[str, UplinkRequest] = {}
        self._retell_at = 0.0
        self._stale_at = 0.0

    def run(self, supervisor: Supervisor) -> None:
        """Serve for ever."""
        due = 0.0
        while True:
            supervisor.beat()
            self._wait(due)
            now = time.monotonic()
            if now >= due:
                self._tick(now)
                due = now + TICK_SECONDS
            self._turn(now)

    def _wait(self, due: float) -> None:
        times = [due, self._names.get_timer(), self._client.get_timer() if self._client else None]
        left = min(t for t in times if t is not None) - time.monotonic()
        for key, _ in self._selector.select(max(0.0, min(left, TICK_SECONDS))):
            now = time.monotonic()
            if key.data == "port":
                data = self._port.receive()
                if data is not None and self._client is not None:
                    self._client.receive_frame(data, now)
            elif key.data == "changes":
                self._unplugged |= self._port.lost_carrier(self._seen.index if self._seen else 0)
            else:
                self._hear_answer(now)

    # -- what changes around us ----------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        if self._confirmed.changed():
            self._site = self._confirmed.read()
            self._retell()
        self._watch_port(now)
        self._ask_stale(now)
        if self._site is not None:
            hosts = frozenset(t.endpoint_host for t in self._site.tunnel if t.endpoint_address is None)
            servers = self._site.uplink.dns or (self._given.dns if self._given else ())
            self._names.want(hosts, servers, now)
        self._status.write(self._facts())

    def _retell(self) -> None:
        """The keeper has another site, or none: all that is known is judged anew."""
        port = self._site.uplink.port if self._site and self._site.uplink.mode == "dhcp" else ""
        if port != self._port_name:
            self._client, self._given, self._seen, self._port_name = None, None, None, port
        self._untold.clear()
        if port and self._given is not None:
            self._untold["lease"] = lease_of(port, self._given)
        for host, address in self._names.known.items():
            self._found(host, address)
        self._retell_at = 0.0

    def _watch_port(self, now: float) -> None:
        if not self._port_name:
            return
        state = self._port.state(self._port_name)
        before, self._seen = self._seen, state
        if state is None:
            return
        if before is None or (before.index, before.hardware) != (state.index, state.hardware):
            self._begin(self._port_name, state, now)
        elif state.running and self._unplugged and self._client is not None:
            self._unplugged = False
            self._client.carrier(now)

    def _begin(self, name: str, state: PortState, now: float) -> None:
        try:
            self._port.follow(name)
        except OSError:
            self._seen = None  # gone again: at the next tick
            return
        self._unplugged = False
        self._client = Client(state.hardware, self._chance)
        self._client.start(now)

    def _ask_stale(self, now: float) -> None:
        if self._site is None or now < self._stale_at:
            return
        self._stale_at = now + STALE_SECONDS
        answer = self._tell(Stale())
        if isinstance(answer, StatusReport):
            told = answer.facts.get("stale")
            names = {str(name) for name in told} if isinstance(told, list) else set()
            hosts = frozenset(t.endpoint_host for t in self._site.tunnel if t.name in names)
            self._names.stale(hosts, now)

    # -- one turn ------------------------------------------------------------------------------------------------

    def _turn(self, now: float) -> None:
        client = self._client
        if client is not None:
            due = client.get_timer()
            if due is not None and now >= due:
                client.handle_timer(now)
            for data in client.frames_to_send(now):
                self._port.send(data)
            while (event := client.next_event()) is not None:
                self._leased(event.given if isinstance(event, Leased) else None)
        due = self._names.get_timer()
        if due is not None and now >= due:
            self._names.handle_timer(now)
        while (found := self._names.next_event()) is not None:
            self._found(found.host, found.address)
        self._keep_known()
        while (question := self._names.question_to_send()) is not None:
            self._ask_name(question.server, question.data, now)
        if self._untold and now >= self._retell_at:
            self._tell_all(now)

    def _leased(self, given: Given | None) -> None:
        if given != self._given:
            self._log.say("lease_got" if given else "lease_lost", str(given.address) if given else "")
        self._given = given
        port = self._port_name
        self._untold["lease"] = NoLease(port) if given is None else lease_of(port, given)
        self._retell_at = 0.0

    def _found(self, host: str, address: IPv4Address) -> None:
        for tunnel in self._site.tunnel if self._site else ():
            if tunnel.endpoint_host == host:
                self._untold[tunnel.name] = Resolved(tunnel.name, str(address))
                self._retell_at = 0.0

    def _keep_known(self) -> None:
        known = {host: str(address) for host, address in self._names.known.items()}
        if known != self._written:
            try:
                durable.write(self._kept, json.dumps(known).encode("utf-8"))
            except OSError:
                self._log.say("endpoint_not_kept")
            self._written = known

    # -- questions -----------------------------------------------------------------------------------------------

    def _ask_name(self, server: IPv4Address, data: bytes, now: float) -> None:
        """Each question has a socket of its own: a fresh random port, and only that server is heard."""
        self._hang_up()
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            asking.setblocking(False)
            asking.connect((str(server), _DNS_PORT))
            asking.send(data)
        except OSError:
            asking.close()
            self._names.failed(now)
            return
        self._question = asking
        self._selector.register(asking, selectors.EVENT_READ, "question")

    def _hear_answer(self, now: float) -> None:
        if self._question is None:
            return
        try:
            data = self._question.recv(MAX_ANSWER_BYTES + 1)
        except BlockingIOError:
            return
        except OSError:
            self._names.failed(now)  # nobody listens there
            self._hang_up()
            return
        self._names.receive(data, now)

    def _hang_up(self) -> None:
        if self._question is not None:
            self._selector.unregister(self._question)
            self._question.close()
            self._question = None

    # -- the keeper ----------------------------------------------------------------------------------------------

    def _tell_all(self, now: float) -> None:
        """Tell what is untold; what the keeper refuses is said, and offered again later."""
        self._retell_at = now + TICK_SECONDS
        for about, request in list(self._untold.items()):
            answer = self._tell(request)
            if answer is None:
                return
            if isinstance(answer, Refusal):
                code = answer.findings[0].code if answer.findings else answer.rule
                self._log.say("learned_refused", f"{about}: {code}")
                self._retell_at = now + RETELL_SECONDS
            else:
                del self._untold[about]

    def _tell(self, request: UplinkRequest) -> object | None:
        try:
            return ask(self._run, request, "uplink", SMALL_SECONDS)
        except (OSError, ControlError):
            return None

    def _facts(self) -> dict[str, object]:
        counters = dict(self._names.counters)
        if self._client is not None:
            counters |= dict(self._client.counters)
        return {
            "dhcp": self._client.state.value if self._client else None,
            "address": str(self._given.address) if self._given else None,
            "names": {host: str(address) for host, address in self._names.known.items()},
            "counters": counters,
        }


def lease_of(port: str, given: Given) -> Lease:
    """Return a lease as the keeper hears it."""
    return Lease(
        port,
        str(given.address),
        str(given.gateway or ""),
        tuple(str(server) for server in given.dns),
        tuple(str(server) for server in given.ntp),
        given.seconds,
    )


def read_known(path: Path) -> dict[str, IPv4Address]:
    """Return the last good address of each name; nothing of a file that cannot be read."""
    try:
        raw = json.loads(durable.read(path, MAX_KNOWN_BYTES))
        return {str(host): IPv4Address(address) for host, address in list(raw.items())[:MAX_KNOWN]}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def main() -> int:
    """Open the packet socket, give every right up, serve."""
    where, supervisor = places("snowgate-uplink"), Supervisor()
    state = where.state / "uplink"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    uplink = Uplink(where.run, state)
    keep_only()
    supervisor.ready()
    uplink.run(supervisor)
    return 0
