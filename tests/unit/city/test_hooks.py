"""Where alerts are told: the queue, the webhook's request and its signature, lines of syslog, and where none of it may go."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from city.registry import alerts, hooks, people
from city.registry.hooks import Message
from city.registry.refused import RegistryRefused
from city.registry.store import Store
from city.registry.tables import Alert, Hook, Person, Telling
from city.telling import places, process, syslog, webhook
from city.telling.places import Untold

NOW = 1_780_000_000.0
SECRET = "5c" * 32


def officer(store: Store, role: str = "security") -> Person:
    with store.begin() as session:
        return people.add(session, NOW, "init", role, "no password", role)


def hook(store: Store, person: Person, **besides: Any) -> int:
    facts = {"kind": "webhook", "target": "https://alerts.city.example/in", "secret": SECRET} | besides
    with store.begin() as session:
        return hooks.add(session, NOW, person, **facts).id


def alert(store: Store, at: float = NOW, code: str = "concentrator_silent", **besides: Any) -> None:
    with store.begin() as session:
        alerts.raise_(session, at, code, "concentrator:hub-a", "error", concentrator="hub-a", **besides)


@dataclass
class Receiver:
    """What is sent, and what it answers: a rule, or "" of one that takes it."""

    answer: str = ""
    got: list[Message] = field(default_factory=list)

    def __call__(self, message: Message, now: float) -> None:
        self.got.append(message)
        if self.answer:
            raise Untold(self.answer)


def turn(store: Store, at: float, receiver: Receiver) -> int:
    with store.begin() as session:
        hooks.queue(session, at)
    return process.tell(store, lambda: at, lambda *_, **__: None, receiver)


def test_an_alert_is_told_once_and_its_end_after_it(store: Store) -> None:
    hook(store, officer(store))
    receiver = Receiver()
    alert(store)
    assert [turn(store, NOW + n, receiver) for n in range(3)] == [1, 0, 0]
    with store.begin() as session:
        alerts.close(session, NOW + 9, "concentrator_silent", "concentrator:hub-a")
    assert [turn(store, NOW + 10 + n, receiver) for n in range(2)] == [1, 0]
    assert [message.facts["what"] for message in receiver.got] == ["open", "over"]
    first = receiver.got[0]
    assert first.facts["zh"] == first.text and "hub-a" in first.text and "hub-a" in first.facts["en"]


def test_an_alert_that_somebody_sees_to_is_told_to_nobody_any_more(store: Store) -> None:
    hook(store, officer(store))
    receiver = Receiver("hook_away")

    def acknowledged() -> None:
        with store.begin() as session:
            person = Person(name="op", password="", role="operator", made_at=NOW)
            number = session.scalars(select(Alert.id).where(Alert.acknowledged_at.is_(None))).one()
            alerts.acknowledge(session, NOW, person, number, "on the way")

    alert(store)
    assert (turn(store, NOW, receiver), len(receiver.got)) == (0, 1), "tried, and will be again"
    acknowledged()
    receiver.answer = ""
    assert turn(store, NOW + 1e4, receiver) == 0
    with store.begin() as session:
        alerts.raise_(session, NOW + 2e4, "concentrator_silent", "concentrator:hub-a", "error", concentrator="again")
    assert turn(store, NOW + 2e4, receiver) == 0, "it is the same one, and open yet"
    with store.begin() as session:
        alerts.close(session, NOW + 3e4, "concentrator_silent", "concentrator:hub-a")
        alerts.raise_(session, NOW + 3e4, "concentrator_silent", "concentrator:hub-b", "error", concentrator="hub-b")
    acknowledged()
    assert turn(store, NOW + 3e4, receiver) == 1, "its end is told; what was seen to before it was told is not"
    assert receiver.got[-1].facts["what"] == "over"


def test_nothing_is_lost_while_a_hook_is_away_and_the_other_one_hears_meanwhile(store: Store) -> None:
    person = officer(store)
    lame, well = hook(store, person), hook(store, person, target="https://other.city.example/")
    receiver = Receiver("hook_away")
    alert(store)

    def only(message: Message, now: float) -> None:
        if message.hook == lame:
            receiver(message, now)

    said: list[str] = []
    tried, at = [], NOW
    for _ in range(400):
        with store.begin() as session:
            hooks.queue(session, at)
        before = len(receiver.got)
        process.tell(store, lambda at=at: at, lambda code, *_, **__: said.append(code), only)  # type: ignore[misc]
        if len(receiver.got) > before:
            tried.append(at - NOW)
        at += 5
    assert tried[:6] == [0, 10, 30, 70, 150, 310], "ten seconds, and twice as long each time"
    assert "hook_fails" in said
    with store.read() as session:
        assert session.scalar(select(Telling.done_at).where(Telling.hook == well)) == NOW
        assert [row.subject for row in session.scalars(select(Alert).where(Alert.code == "hook_fails"))] == [
            f"hook:{lame}"
        ]
    receiver.answer = ""
    assert turn(store, NOW + 1e5, receiver) >= 1
    with store.read() as session:
        assert session.scalar(select(Alert.closed_at).where(Alert.code == "hook_fails")) == NOW + 1e5


def test_a_hook_that_never_answers_is_given_up(store: Store) -> None:
    hook(store, officer(store))
    alert(store)
    receiver = Receiver("hook_refuses")
    for hour in range(40):
        turn(store, NOW + 4000 * hour, receiver)
    assert len(receiver.got) == hooks.MOST_TRIES


def test_sites_wait_for_their_outage_and_those_inside_it_are_not_told(store: Store) -> None:
    hook(store, officer(store))
    receiver = Receiver()
    with store.begin() as session:
        for number in range(3):
            row = alerts.raise_(session, NOW, "site_dark", f"site:{number}", "error", site=number, name="", why="")
            row.grouping = "carrier:x" if number else ""
    assert turn(store, NOW + hooks.HOLD_SECONDS - 1, receiver) == 0
    assert turn(store, NOW + hooks.HOLD_SECONDS, receiver) == 1
    assert [message.facts["subject"] for message in receiver.got] == ["site:0"]


def test_less_than_a_hook_wants_is_not_told_to_it(store: Store) -> None:
    hook(store, officer(store), least="error")
    with store.begin() as session:
        alerts.raise_(session, NOW, "layer_reverted", "site:1", "warning", site=1)
    assert turn(store, NOW, receiver := Receiver()) == 0 and receiver.got == []


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("webhook", "http://alerts.city.example/"), ("webhook", "https://user@alerts.city.example/"),
        ("webhook", "https://"), ("webhook", "https://a.example/#x"), ("webhook", "https://a.example:99999/"),
        ("webhook", "https://a b.example/"), ("webhook", "file:///etc/passwd"), ("syslog", "https://a.example/"),
        ("syslog", "udp://a.example"), ("syslog", "unix:relative"), ("syslog", "unix:/run/../etc/x"), ("mail", "a@b"),
        ("webhook", "https://a.example/" + "x" * 256), ("webhook", "https://ä.example/"), ("syslog", "tcp://a:0"),
    ],
)  # fmt: skip
def test_a_target_of_another_form_is_refused(store: Store, kind: str, target: str) -> None:
    person = officer(store)
    with pytest.raises(RegistryRefused, match="hook_target"):
        hook(store, person, kind=kind, target=target)
    for good in (
        ("syslog", "udp://10.1.2.3:514"),
        ("syslog", "unix:/dev/log"),
        ("webhook", "https://[2001:db8::1]:8443/a?b=c"),
    ):
        assert hook(store, person, kind=good[0], target=good[1])


def test_only_the_security_administrator_sets_hooks(store: Store) -> None:
    for role in ("system", "operator", "viewer", "audit"):
        with pytest.raises(RegistryRefused, match="not_allowed"):
            hook(store, officer(store, role))
    number = hook(store, person := officer(store))
    with store.begin() as session:
        hooks.remove(session, NOW, person, number)
        assert session.scalars(select(Hook)).all() == []


@pytest.mark.parametrize(
    ("address", "inside", "goes"),
    [
        ("203.0.114.9", False, True), ("10.20.0.9", False, False), ("10.20.0.9", True, True), ("127.0.0.1", True, False),
        ("169.254.169.254", True, False), ("::1", True, False), ("fe80::1", True, False), ("0.0.0.0", True, False),
        ("224.0.0.1", True, False), ("::ffff:127.0.0.1", True, False), ("::ffff:10.0.0.1", False, False),
        ("fd00::1", True, True), ("fd00::1", False, False), ("100.64.0.1", False, False), ("100.64.0.1", True, True),
        ("240.0.0.1", False, False),
    ],
)  # fmt: skip
def test_where_a_hook_may_be(address: str, inside: bool, goes: bool) -> None:
    assert places.allowed(ip_address(address), inside) is goes


# -- over real sockets -------------------------------------------------------------------------------------------------


def here(host: str, port: int, inside: bool, kind: socket.SocketKind) -> tuple[int, str]:
    """Names lead to this machine, for the tests alone."""
    return socket.AF_INET, "127.0.0.1"


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        status = self.server.status  # type: ignore[attr-defined]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "https://127.0.0.1/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[Any, str]]:
    """A receiver with a certificate for alerts.city.example; yields the server, and the certificate as its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alerts.city.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("alerts.city.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM)
    own = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "r.pem").write_bytes(pem + own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "r.pem")
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.got, server.status = [], 200  # type: ignore[attr-defined]
    server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server, pem.decode()
    server.shutdown()
    server.server_close()


FACTS = {"telling": 5, "alert": 3, "what": "open", "code": "site_dark", "subject": 'site:"1]', "zh": "离线"}


def rule(target: str, ca: str, find: webhook.Resolve = here) -> str:
    try:
        webhook.send(target, SECRET, ca, False, FACTS, NOW, find)
    except Untold as untold:
        return untold.rule
    return ""


def test_a_webhook_gets_one_signed_request(receiver: tuple[Any, str]) -> None:
    server, ca = receiver
    assert rule(f"https://alerts.city.example:{server.server_port}/in?a=b", ca) == ""
    ((path, headers, body),) = server.got
    assert path == "/in?a=b" and json.loads(body) == FACTS and headers["X-Snowgate-Telling"] == "5"
    at, mac = (part.partition("=")[2] for part in headers["X-Snowgate-Signature"].split(","))
    assert int(at) == int(NOW)
    assert mac == hmac.new(bytes.fromhex(SECRET), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def test_a_webhook_goes_nowhere_else(receiver: tuple[Any, str]) -> None:
    server, ca = receiver
    port = server.server_port
    assert rule(f"https://other.city.example:{port}/", ca) == "hook_certificate", "another name"
    assert rule(f"https://alerts.city.example:{port}/", "") == "hook_certificate", "a CA that nobody named"
    assert rule(f"https://127.0.0.1:{port}/", ca, places.resolve) == "hook_place", "this machine"
    assert rule("https://no-such-name.invalid/", ca, places.resolve) == "hook_name"
    assert server.got == []
    for status, said in ((302, "hook_redirects"), (500, "hook_refuses"), (204, "")):
        server.status = status
        assert rule(f"https://alerts.city.example:{port}/", ca) == said
    assert len(server.got) == 3, "and no redirect was followed"


def test_a_line_of_syslog() -> None:
    line = syslog.line("error", "city 1", FACTS, "站点\n离线" + "长" * 2000, NOW)
    head, _, text = line.partition(b"\xef\xbb\xbf")
    stamp = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert (
        head
        == (
            f'<131>1 {stamp} city1 snowgate-city - site_dark [snowgate@32473 alert="3" what="open" code="site_dark" '
            f'subject="site:\\"1\\]" telling="5"] '
        ).encode()
    )
    assert text.decode().startswith("站点 离线长") and b"\n" not in line and len(line) <= syslog.MAX_BYTES


def test_syslog_over_udp_tcp_and_unix(tmp_path: Path) -> None:
    line = syslog.line("warning", "city", FACTS, "x", NOW)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(5)
        tcp.settimeout(5)
        syslog.send(f"udp://log.example:{udp.getsockname()[1]}", False, line, here)
        assert udp.recv(4096) == line
        got: list[bytes] = []

        def take() -> None:
            with tcp.accept()[0] as taken:
                while part := taken.recv(4096):
                    got.append(part)

        thread = threading.Thread(target=take)
        thread.start()
        syslog.send(f"tcp://log.example:{tcp.getsockname()[1]}", False, line, here)
        thread.join(5)
        assert b"".join(got) == b"%d " % len(line) + line
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.bind(str(tmp_path / "log"))
        syslog.send(f"unix:{tmp_path / 'log'}", False, line)
        assert unix.recv(4096) == line
    with pytest.raises(Untold, match="hook_away"):
        syslog.send(f"unix:{tmp_path / 'none'}", False, line)
    with pytest.raises(Untold, match="hook_place"):
        syslog.send("udp://127.0.0.1:514", True, line)
