"""``init``, ``serve`` and ``sign``. Time and chance enter here."""

from __future__ import annotations

import argparse
import os
import pwd
import secrets
import signal
import subprocess
import sys
import threading
import time
from ipaddress import IPv4Address
from typing import Any

from pydantic import ValidationError

from city.api.app import create_app
from city.api.office import BundleFacts
from city.api.server import Application, ensure_certificate
from city.cli.settings import Folder, Settings, give, read, write
from city.cli.work import told
from city.concentrator.log import Log
from city.registry import people
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignerAway
from city.registry.store import Store, open_store
from city.registry.tables import Meta
from city.schedule import Schedule, run
from city.signing import keys
from city.signing.client import over_socket
from city.signing.marks import Marks, MarksInUse
from city.signing.process import serve as serve_signing
from city.signing.service import Service
from netconf.notify import Supervisor

#: The three administrators, whom nobody could add without one of them.
FIRST = ("system", "security", "audit")
START_SECONDS, RENEW_SECONDS = 60.0, 60.0
#: One job of the schedule may take so long: verdicts about a hundred thousand sites on a slow disk.
SCHEDULE_SILENCE_SECONDS = 300.0


@told
def init(args: argparse.Namespace) -> int:
    """Make a city where there is none, and print the first persons' passwords once."""
    folder = Folder(args.folder)
    try:
        settings = Settings(
            name=args.name, address=args.address, port=args.port, listen=IPv4Address(args.listen),
            database=args.database, also=tuple(args.also),
        )  # fmt: skip
    except (ValidationError, ValueError) as wrong:
        raise RegistryRefused("city_settings", field=str(wrong).splitlines()[-1], file="--") from None
    folder.path.mkdir(mode=0o750, parents=True, exist_ok=True)
    if folder.settings.exists():
        raise RegistryRefused("city_made", folder=folder.path)
    if not (folder.signing / "ca.pem").exists():
        keys.write(folder.signing, keys.make(settings.name, time.time(), secrets.token_bytes))
    folder.data.mkdir(mode=0o750, exist_ok=True)
    store = open_store(folder.database(settings))
    passwords = {role: secrets.token_urlsafe(12) for role in FIRST}
    kept = {role: people.hashed(password) for role, password in passwords.items()}
    with store.begin() as session:
        if session.get(Meta, "epoch") is None:
            session.add(Meta(name="epoch", value="1"))
        for role in FIRST:
            if people.password_hash(session, role) == people.NOBODY:
                people.add(session, time.time(), people.INIT, role, kept[role], role)
            else:
                people.edit(session, time.time(), people.INIT, role, kept=kept[role])
    store.close()
    write(folder, settings)
    give(folder)
    for role, password in passwords.items():
        print(f"{role}\t{password}")
    return 0


@told
def serve(args: argparse.Namespace) -> int:
    """Answer until a signal comes; the signing process goes with it if we started it."""
    folder = Folder(args.folder)
    settings = read(folder)
    signer, child = over_socket(folder.socket), None
    if not args.no_sign and not _answers(signer):
        child = subprocess.Popen(
            [sys.executable, "-m", "city.cli", "--folder", str(folder.path), "sign"], start_new_session=True
        )
    try:
        _wait(signer, child)
        folder.server.mkdir(mode=0o700, exist_ok=True)
        store = open_store(folder.database(settings))
        _renew(folder, settings, store, signer)
        store.close()
        bind = f"{settings.listen}:{settings.port}"
        Application(lambda: _app(folder, settings), folder.server, [bind], args.workers).run()
    finally:
        if child is not None:
            child.terminate()
            child.wait()
    return 0


@told
def sign(args: argparse.Namespace) -> int:
    """Be the signing process until a signal comes."""
    folder, log = Folder(args.folder), Log("city-sign")
    try:
        held = keys.read(folder.signing)
    except FileNotFoundError:
        raise RegistryRefused("city_not_made", folder=folder.path) from None
    except keys.KeysDamaged as wrong:
        raise RegistryRefused("city_keys", file=wrong) from None
    try:
        marks = Marks(folder.marks)
    except MarksInUse:
        raise RegistryRefused("sign_marks_in_use") from None
    service = Service(held, marks, time.time, secrets.token_bytes, folder.signing)
    owners, uids = {os.geteuid(), folder.path.stat().st_uid}, [pwd.getpwnam(name).pw_uid for name in args.asker]
    folder.socket.parent.mkdir(mode=0o755, exist_ok=True)
    supervisor = Supervisor()
    server = serve_signing(folder.socket, service, uids, owners, log.say, supervisor.beat)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        supervisor.ready()
        server.serve_forever(poll_interval=0.2)
    marks.close()
    return 0


@told
def schedule(args: argparse.Namespace) -> int:
    """Do what the registry does by itself, while no other process does, until a signal comes."""
    folder, log, ended = Folder(args.folder), Log("city-schedule"), threading.Event()
    supervisor = Supervisor(SCHEDULE_SILENCE_SECONDS)
    store = open_store(folder.database(read(folder)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    supervisor.ready()
    run(Schedule(store, over_socket(folder.socket), time.time, log.say, beat=supervisor.beat), ended)
    store.close()
    return 0


def _app(folder: Folder, settings: Settings) -> Any:
    """The app of one worker process."""
    store, signer, log = open_store(folder.database(settings), upgrade=False), over_socket(folder.socket), Log("city")
    threading.Thread(target=_keep, args=(folder, settings, store, signer, log), daemon=True).start()
    facts = BundleFacts(str(settings.address), settings.port)
    return create_app(store, signer, time.time, secrets.token_bytes, log.say, facts)


def _keep(folder: Folder, settings: Settings, store: Store, signer: Signer, log: Log) -> None:
    """See to it that the server's certificate never ends while the server runs, and is of the CA of the moment."""
    while True:
        time.sleep(RENEW_SECONDS)
        try:
            with store.leader("server-certificate") as lead:
                if lead is not None:
                    _renew(folder, settings, store, signer)
        except Exception:  # noqa: BLE001 - the outermost loop of this thread; it comes again in a minute
            log.say("signer_away")


def _renew(folder: Folder, settings: Settings, store: Store, signer: Signer) -> None:
    names = [str(settings.address), *settings.also]
    ensure_certificate(folder.server, store, signer, names, time.time())


def _answers(signer: Signer) -> bool:
    try:
        signer.highest("0" * 20)
    except SignerAway:
        return False
    return True


def _wait(signer: Signer, child: subprocess.Popen[bytes] | None) -> None:
    until = time.monotonic() + START_SECONDS
    while not _answers(signer):
        if time.monotonic() > until or (child is not None and child.poll() is not None):
            raise SignerAway
        time.sleep(0.1)
