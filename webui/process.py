"""The page's shell: TLS, the server, and what is read from the other programs. Another LAN address is another life."""

from __future__ import annotations

import datetime
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from edge.control.client import SMALL_SECONDS, ask
from edge.control.wire import Answer, AskCity, ControlError, Done, Request, Status, StatusReport
from edge.io import status
from edge.io.confirmed import Confirmed, Places, places
from edge.io.log import Log
from edge.io.outlives import Outlives
from edge.receipts.commands import ask_to_read, files, newest
from netconf.model import Site
from netconf.notify import Supervisor
from webui import certificate
from webui.accounts import Accounts
from webui.app import Box, create_app
from webui.changes import Changes

PORT = 443
THREADS, MOST_WAITING, MOST_CONNECTIONS = 8, 32, 64
DEADLINE_SECONDS = 10
MAX_HEADER_BYTES, MAX_BODY_BYTES = 16 * 1024, 64 * 1024
TICK_SECONDS = 0.25
#: Shown, and looked at: between two views stand lines of other kinds.
MOST_HISTORY, MOST_RECORDS = 50, 800
_PROGRAMS = ("siteside", "cityside", "ferry", "agent", "enrol")


class Seen:
    """What the pages show, read anew at most once a second."""

    def __init__(self, where: Places) -> None:
        self._where = where
        self._lock = threading.Lock()
        self._facts: tuple[float, dict[str, Any]] = (0.0, {})
        self._confirmed = Confirmed(where.run)
        self._site: Site | None = None

    def site(self) -> Site | None:
        """Return the configuration that the daemons have now."""
        with self._lock:
            if self._site is None or self._confirmed.changed():
                self._site = self._confirmed.read()
            return self._site

    def facts(self) -> dict[str, Any]:
        """Return everybody's facts."""
        with self._lock:
            at, facts = self._facts
            if time.monotonic() - at > 1.0:
                facts = self._read()
                self._facts = (time.monotonic(), facts)
            return facts

    def _read(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        try:
            answer = ask(self._where.run, Status(), "web", SMALL_SECONDS)
            facts["keeper"] = answer.facts if isinstance(answer, StatusReport) else None
        except (OSError, ControlError):
            facts["keeper"] = None
        for name in _PROGRAMS:
            facts[name] = status.read(self._where.run, name)
        facts["monotonic"] = time.monotonic()
        return facts

    def history(self) -> list[dict[str, Any]] | None:
        """Return the last finished and refused views and orders, newest first; None when that this is read could not be recorded."""
        try:
            if not ask_to_read(self._where.run, "page"):
                return None
            lines = newest(files(self._where.state), MOST_RECORDS)
        except OSError:
            return None
        told = [line for line in map(json.loads, lines) if line.get("event") in ("ended", "refused", "ordered")]
        orders = [line for line in told if "action" in line]
        return [line for line in told if "action" not in line][:MOST_HISTORY] + orders[:MOST_HISTORY]


def ask_city(run: Path) -> bool:
    """Have the keeper let the city be asked now; return whether it heard."""
    try:
        return isinstance(ask(run, AskCity(), "web", SMALL_SECONDS), Done)
    except (OSError, ControlError):
        return False


def _later(seconds: float, thing: Any) -> None:
    timer = threading.Timer(seconds, thing)
    timer.daemon = True
    timer.start()


class _Server(Server):
    """What the server says of broken connections is a line like all others, and one a minute."""

    log: Log

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        self.log.say("page_connection", str(msg).partition("\n")[0][-80:])


def _server(app: Any, address: str, folder: Path, log: Log) -> Server:
    made, key = certificate.certificate(folder, address, datetime.datetime.now(datetime.UTC))
    server = _Server((address, PORT), app, numthreads=THREADS, max=THREADS, request_queue_size=MOST_WAITING,
                    timeout=DEADLINE_SECONDS, server_name="snowgate")  # fmt: skip
    server.log = log
    server.ssl_adapter = BuiltinSSLAdapter(str(made), str(key))
    server.max_request_header_size, server.max_request_body_size = MAX_HEADER_BYTES, MAX_BODY_BYTES
    server.keep_alive_conn_limit = MOST_CONNECTIONS

    return server


def _serve(where: Places, log: Log, supervisor: Supervisor) -> None:
    seen = Seen(where)
    supervisor.ready()
    while (site := seen.site()) is None:
        supervisor.beat()
        time.sleep(TICK_SECONDS)
    folder, address = where.state / "web", str(site.lan.address.ip)
    accounts = Accounts(folder, time.time)
    outlives = Outlives(where.run, "webui")

    def put(request: Request) -> Answer:
        return ask(where.run, request, "web")

    changes = Changes(put, _later)
    left = outlives.read() or {}
    accounts.adopt(left.get("sessions", {}))
    changes.adopt(left.get("changes", {}))
    box = Box(seen.site, seen.facts, seen.history, lambda: ask_city(where.run), certificate.fingerprint(folder))
    server = _server(create_app(box, accounts, changes, log.say), address, folder, log)
    try:
        server.prepare()
    except OSError:
        log.say("page_address_away", address)
        return
    threading.Thread(target=server.serve, daemon=True).start()
    log.say("page_open", f"https://{address}")
    while (site := seen.site()) is not None and str(site.lan.address.ip) == address:
        outlives.write({"sessions": accounts.kept(), "changes": changes.kept()})
        supervisor.beat()
        time.sleep(TICK_SECONDS)
    until = time.monotonic() + DEADLINE_SECONDS
    while changes.working() and time.monotonic() < until:
        supervisor.beat()
        time.sleep(TICK_SECONDS)  # the keeper's answer about this very change is on its way
    outlives.write({"sessions": accounts.kept(), "changes": changes.kept()})


def main() -> NoReturn:
    """Run until the LAN address changes; the supervisor starts us again."""
    log = Log("webui")
    _serve(places("snowgate-web"), log, Supervisor())
    # The server's threads stand in connections to an address that is gone; nobody waits for them.
    os._exit(0)
