"""A concentrator's host in namespaces, with a registry at its side and two sites: for the lab and for the bench.


s1 198.51.100.11 ──┐                    hub 198.51.100.1                      10.1.0.5
   wg-s1 ..0.10    ├── cable ── c0 [ wg-hub0 100.64.0.1/24 | rules | agent ] h0 ── svc  city's services
s2 198.51.100.12 ──┘                    │ 127.0.0.1:8443 registry (this test)
   wg-s2 ..0.11
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from city.concentrator import commands, config
from city.registry import concentrators, peers
from city.registry.signer import Signer
from city.registry.store import Store, open_store
from city.registry.tables import Concentrator, Site
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from edge.lab.sockets import in_namespace, udp_in
from edge.lab.street import eventually
from edge.lab.topology import inside, ip
from netconf import sealed
from netconf.envelope import SEALED_FOR_BOX
from tests.registryserver import RegistryServer, server_files

SPACES = ("cable", "hub", "svc", "s1", "s2")
HUB, HUB_INNER, SERVICE = "198.51.100.1", "100.64.0.1", "10.1.0.5"


def site_id(number: int) -> str:
    return f"340200000020{number:08d}"


class SiteBox:
    """One site's end of a tunnel: its keys, its device, and what the registry knows of it."""

    def __init__(self, number: int, folder: Path) -> None:
        self.id, self.space, self.device = site_id(number), f"s{number}", f"wg-s{number}"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.private = X25519PrivateKey.generate()
        self.address, self.psk = "", ""
        self._conf = folder / f"{self.device}.conf"

    @property
    def public(self) -> str:
        return base64.b64encode(self.private.public_key().public_bytes_raw()).decode()

    def join(self, store: Store, signer: Signer) -> None:
        der = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with store.begin() as session:
            if session.get(Site, self.id) is None:
                session.add(
                    Site(id=self.id, name="s", civil_code="340200", state="active", made_by="t", made_at=0.0,
                         device=self.id, device_key=base64.b64encode(der).decode())
                )  # fmt: skip
                session.flush()
            peer = peers.put_on(session, signer, self.id, "wg-a", "hub-a", self.public, time.time())
            self.address = peer.address
            opened = json.loads(sealed.unseal(peer.psk_box, self.key, SEALED_FOR_BOX + self.id))
            self.psk = opened["psk"]["wg-a"]

    def dial(self, hub_key: str, port: int = 51820, *, also: str = "") -> None:
        """Bring the tunnel up; ``also``: an address that is not ours, for attacks."""
        private_key = base64.b64encode(self.private.private_bytes_raw()).decode()
        self._conf.write_text(
            f"[Interface]\nPrivateKey = {private_key}\n[Peer]\nPublicKey = {hub_key}\nPresharedKey = {self.psk}\n"
            f"Endpoint = {HUB}:{port}\nAllowedIPs = 100.64.0.0/16, 10.1.0.0/16\nPersistentKeepalive = 1\n"
        )
        run(self.space, "wg", "syncconf", self.device, str(self._conf))
        run(self.space, "ip", "address", "flush", "dev", self.device)
        for address in (self.address, *filter(None, (also,))):
            run(self.space, "ip", "address", "add", f"{address}/32", "dev", self.device)
        run(self.space, "ip", "link", "set", self.device, "up")
        for network in ("100.64.0.0/16", "10.1.0.0/16"):
            run(self.space, "ip", "route", "replace", network, "dev", self.device, "src", self.address)

    def reaches(self, source: str = "", *, tries: int = 1) -> bool:
        """Whether the city's service answers a datagram of ours."""
        for _ in range(tries):
            with contextlib.closing(udp_in(self.space, (source or self.address, 0))) as line:
                line.settimeout(0.4)
                with contextlib.suppress(OSError):
                    line.sendto(b"knock", (SERVICE, 5060))
                    return line.recv(64) == b"heard:" + (source or self.address).encode()
        return False


def run(space: str, *command: str, ok: bool = False) -> str:
    done = subprocess.run(inside(space, *command), capture_output=True, text=True, check=False, timeout=30)
    assert ok or done.returncode == 0, (command, done.stderr)
    return done.stdout


class Service5060:
    """The city's service: it says who has knocked, and keeps whom it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.line = udp_in("svc", (SERVICE, 5060))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                _, (host, port) = self.line.recvfrom(2048)
                self.heard.append(host)
                with contextlib.suppress(OSError):
                    self.line.sendto(b"heard:" + host.encode(), (host, port))


class World:
    """Everything of the drawing."""

    def __init__(self, folder: Path, network: str = "100.64.0.0/24") -> None:
        self.folder = folder
        self.network = network
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._build()
        self.service = Service5060()
        self.store = open_store(f"sqlite:///{folder / 'city.sqlite'}")
        self.marks = Marks(folder / "marks.sqlite")
        service = Service(
            keys.make("City of Tests", time.time() - 86400, os.urandom), self.marks, time.time, os.urandom
        )
        self.signer = Client(service.answer)
        server_files(self.signer, folder, "127.0.0.1")
        self.registry = RegistryServer(self.store, self.signer, folder, time.time)
        self.file = folder / "hub.toml"
        self._hub()
        self.open_registry()
        self.agent: subprocess.Popen[bytes] | None = None
        self.start_agent()
        self.sites = [SiteBox(1, folder), SiteBox(2, folder)]
        for site in self.sites:
            site.join(self.store, self.signer)
            site.dial(self.hub_key())

    def _build(self) -> None:
        for space in SPACES:
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
        ip("-n", "cable", "link", "add", "br0", "type", "bridge")
        ip("-n", "cable", "link", "set", "br0", "up")
        for space, address in (("hub", HUB), ("s1", "198.51.100.11"), ("s2", "198.51.100.12")):
            ip("link", "add", "c0", "netns", space, "type", "veth", "peer", "name", f"p-{space}", "netns", "cable")
            ip("-n", "cable", "link", "set", f"p-{space}", "master", "br0", "up")
            ip("-n", space, "address", "add", f"{address}/24", "dev", "c0")
            ip("-n", space, "link", "set", "c0", "up")
        ip("link", "add", "h0", "netns", "hub", "type", "veth", "peer", "name", "e0", "netns", "svc")
        for space, link, address in (("hub", "h0", "10.1.0.1"), ("svc", "e0", SERVICE)):
            ip("-n", space, "address", "add", f"{address}/24", "dev", link)
            ip("-n", space, "link", "set", link, "up")
        ip("-n", "svc", "route", "add", "default", "via", "10.1.0.1")
        for space, device in (("hub", "wg-hub0"), ("hub", "wg-hub1"), ("s1", "wg-s1"), ("s2", "wg-s2")):
            self.start_device(space, device)

    def start_device(self, space: str, device: str) -> None:
        """Start a device; one that was there is ended first, for it would take the new one's socket with it."""
        if (before := self.processes.pop(device, None)) is not None:
            before.kill()
            before.wait()
        quiet = subprocess.DEVNULL
        command = inside(space, "wireguard-go", "-f", device)
        self.processes[device] = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        eventually(lambda: "interface" in run(space, "wg", "show", device, ok=True), 20, device)

    def _hub(self) -> None:
        folder = self.folder / "keys"
        self.file.write_text(
            f'id = "hub-a"\nnetwork = "{self.network}"\naddress = "{HUB_INNER}"\nfolder = "{folder}"\n'
            f'state = "{self.folder / "state"}"\ncompare_seconds = 5\nreport_seconds = 3\n[registry]\naddress = "127.0.0.1"\nport = 8443\n'
            f'[[city]]\nnetwork = "10.1.0.0/24"\nudp = ["5060"]\n'
        )
        found = commands.read(self.file)
        assert found is not None
        self.config: config.Config = found
        said = commands.prepared(found)
        new = concentrators.New("hub-a", "Hub A", "wg-a", said["public_key"], f"{HUB}:51820",
                                IPv4Network(said["network"]), IPv4Address(said["probe"]),
                                (IPv4Network("10.1.0.0/24"),), said["seal_key"])  # fmt: skip
        with self.store.begin() as session:
            concentrators.add(session, "tester", new, time.time())
            pem = concentrators.certify(session, self.signer, "tester", "hub-a", said["csr"], time.time())
        (folder / "certificate.pem").write_text(pem)
        (folder / "ca.pem").write_text(self.signer.identity().ca)
        (folder / "city.pub").write_text(self.signer.identity().city_key)

    def open_registry(self) -> None:
        with in_namespace("hub"):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 8443))
        listener.listen(16)
        self.registry.open(listener)

    def start_agent(self) -> None:
        log = (self.folder / "agent.log").open("ab")
        self.agent = subprocess.Popen(
            inside("hub", sys.executable, "-m", "city.concentrator", str(self.file)), stdout=log, stderr=log
        )

    def kill_agent(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()

    def hub_key(self) -> str:
        with self.store.read() as session:
            row = session.get(Concentrator, "hub-a")
            assert row is not None
            return row.public_key

    def has(self, public_key: str, device: str = "wg-hub0") -> bool:
        return public_key in run("hub", "wg", "show", device, "allowed-ips", ok=True)

    def said(self, code: str) -> bool:
        return f'"code": "{code}"' in (self.folder / "agent.log").read_text()

    def report(self) -> dict[str, Any]:
        with self.store.read() as session:
            row = session.get(Concentrator, "hub-a")
            assert row is not None
            found: dict[str, Any] = json.loads(row.report)
            return found

    def change(self, what: Callable[..., Any], *words: Any) -> float:
        """Carry out a change of the registry; return when."""
        with self.store.begin() as session:
            what(session, *words)
        return time.monotonic()

    def close(self) -> None:
        self.registry.close()
        for process in filter(None, (self.agent, *self.processes.values())):
            process.kill()
            process.wait()
        for space in SPACES:
            with contextlib.suppress(Exception):
                ip("netns", "delete", space)
        self.store.close()
        self.marks.close()
