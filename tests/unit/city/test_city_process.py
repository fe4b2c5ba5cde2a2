"""The real thing on loopback: ``snowgate city init`` and ``serve``, gunicorn, TLS 1.3, client certificates, a box that comes."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from city.registry import alerts
from city.registry.store import open_store
from city.registry.tables import Certificate, Concentrator, Template
from city.signing.client import over_socket
from netconf import envelope
from netconf.enrolment import Bundle, read_bundle, sign_request
from netconf.envelope import sign_report
from tests.cityserver import run, serving
from tests.enrolling import BODY, OTHER, SITE, Box, der, wg

#: Several programs start one after the other, each with all its libraries.
pytestmark = pytest.mark.timeout(300)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class City:
    folder: Path
    port: int

    def command(self, *arguments: str, who: str = "op1", fails: bool = False) -> str:
        said = run(self.folder, "--as", who, *arguments)
        assert (said.returncode != 0) is fails, said.stderr
        return said.stderr if fails else said.stdout

    def context(self, **_: Any) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(self.folder / "signing" / "ca.pem"))
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        return made

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        context: ssl.SSLContext | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context or self.context(), timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if answer.headers.get_content_subtype() == "json" else raw
        finally:
            connection.close()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder, port = tmp_path_factory.mktemp("city"), free_port()
    made = run(
        folder, "init", "--name", "测试市", "--address", "127.0.0.1", "--port", str(port), "--listen", "127.0.0.1"
    )
    assert made.returncode == 0, made.stderr
    assert [line.split("\t")[0] for line in made.stdout.splitlines()] == ["system", "security", "audit"]

    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    with serving(folder, answers):
        yield City(folder, port)


@pytest.fixture(scope="module")
def furnished(city: City) -> City:
    for name in ("op1", "op2"):
        city.command("person", "add", name, "operator", who="security")
    store = open_store(f"sqlite:///{city.folder / 'data' / 'city.sqlite'}", upgrade=False)
    with store.begin() as session:
        session.add(
            Template(name="street", version=1, body=json.dumps(BODY), made_by="x", made_at=0.0, state="approved")
        )
        seal = der(ec.generate_private_key(ec.SECP256R1()).public_key())
        session.add(
            Concentrator(
                id="hub0", name="a", plane="wg-a", public_key=wg(250), network="100.64.0.0/18", seal_key=seal,
                endpoint="192.0.2.10:51820", probe="100.64.0.1", allowed='["10.20.0.0/16"]',
            )
        )  # fmt: skip
    store.close()
    return city


@pytest.fixture(scope="module")
def bundle(furnished: City) -> Bundle:
    furnished.command("site", "add", SITE, "渡江社区", "--civil-code", "340200", "--template", "street@1")
    said = furnished.command("claim", SITE, "--svg", str(furnished.folder / "claim.svg"))
    assert (furnished.folder / "claim.svg").read_bytes().startswith(b"<?xml")
    return read_bundle(next(line for line in said.splitlines() if line.startswith("SNOWGATE1:")))


def device_context(city: City, box: Box, pem: str, folder: Path) -> ssl.SSLContext:
    context = city.context()
    secret = box.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    (folder / "device.pem").write_text(pem + secret)
    context.load_cert_chain(folder / "device.pem")
    return context


def test_a_box_comes_by_its_bundle_over_tls_and_is_let_in(furnished: City, bundle: Bundle, tmp_path: Path) -> None:
    status, pem = furnished.ask("GET", "/v1/ca")
    ca = x509.load_pem_x509_certificate(pem)
    assert (status, hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).hexdigest()) == (200, bundle.ca)
    assert (bundle.address, bundle.port) == ("127.0.0.1", furnished.port)
    box = Box()
    request = sign_request(box.request(bundle.claim, time=int(time.time())), box.key)
    assert furnished.ask("POST", "/v1/enrol", request) == (200, {"state": "pending"})
    _, code, *_ = furnished.command("pending").split("\t")
    assert "second_person" in furnished.command("approve", SITE, code, fails=True)
    assert json.loads(furnished.command("approve", SITE, code, who="op2"))["state"] == "active"
    status, answer = furnished.ask("POST", "/v1/enrol", request)
    assert (status, answer["state"]) == (200, "approved")
    context = device_context(furnished, box, answer["certificate"], tmp_path)
    assert furnished.ask("GET", "/v1/ca", context=context)[0] == 200
    assert "op2" in furnished.command("audit", "list", who="audit")
    assert "audit_whole" in furnished.command("audit", "verify", who="audit")


def test_f31_a_database_that_was_laid_back_begins_a_new_epoch_each_time(city: City) -> None:
    told = [city.command("restored", "--reason", "the disk died", who="system") for _ in range(2)]
    assert ["Epoch 2:" in told[0], "Epoch 3:" in told[1]] == [True, True], told
    assert "not_allowed" in city.command("restored", "--reason", "x", who="audit", fails=True)


def scheduled(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge.cli", "city", "--folder", str(folder), "schedule"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def first_code(process: subprocess.Popen[str]) -> str:
    """The first line of its log; one that writes none is ended by pytest's own time."""
    assert process.stderr is not None
    return str(json.loads(process.stderr.readline())["code"])


def test_one_schedule_leads_and_the_next_takes_over_when_it_is_killed(city: City) -> None:
    first = scheduled(city.folder)
    second = None
    try:
        assert first_code(first) == "schedule_leads"
        second = scheduled(city.folder)
        assert first_code(second) == "schedule_waits"
        first.kill()
        first.wait(10)
        assert first_code(second) == "schedule_leads"
        second.terminate()
        assert second.wait(60) == 0
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.communicate()


def test_how_the_city_is_on_the_command_line(city: City) -> None:
    assert json.loads(city.command("status", who="system"))["deaf_since"] is None, "the server says that it listens"
    assert city.command("alerts", who="system") == ""
    assert "site_unknown" in city.command("status", "34020000002000009999", who="system", fails=True)


def test_what_a_concentrator_needs_to_know_is_printed(city: City) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(city.command("identity", "city.pub")))
    pem = city.command("identity", "ca.pem").encode("ascii")
    assert pem == (city.folder / "signing" / "ca.pem").read_bytes() == city.ask("GET", "/v1/ca")[1]
    assert json.loads(city.command("ca", "show", who="audit"))["ca"][0]["is"] == "makes certificates"
    assert key.public_bytes_raw() == base64.b64decode(
        over_socket(city.folder / "socket" / "sign.sock").identity().city_key
    )


def test_a_connection_that_is_resumed_shows_its_certificate_and_is_judged_all_the_same(
    furnished: City, tmp_path: Path
) -> None:
    furnished.command("site", "add", OTHER, "渡江社区", "--civil-code", "340200", "--template", "street@1")
    said = furnished.command("claim", OTHER).splitlines()
    box = Box(2, OTHER)
    claim = read_bundle(next(line for line in said if line.startswith("SNOWGATE1:"))).claim
    request = sign_request(box.request(claim, time=int(time.time())), box.key)
    furnished.ask("POST", "/v1/enrol", request)
    code = next(line.split("\t")[1] for line in furnished.command("pending").splitlines() if line.startswith(OTHER))
    furnished.command("approve", OTHER, code, who="op2")
    pem = furnished.ask("POST", "/v1/enrol", request)[1]["certificate"]
    context = device_context(furnished, box, pem, tmp_path)
    told = {"site": OTHER, "change": {"applied": [0, 0]}, "city_layer": [0, 0]}
    body = sign_report(told, box.key).encode("ascii")
    head = f"POST /v1/report HTTP/1.0\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii")
    session: ssl.SSLSession | None = None

    def report() -> tuple[bool, bytes]:
        nonlocal session
        line = socket.create_connection(("127.0.0.1", furnished.port), 20)
        with line, context.wrap_socket(line, server_hostname="127.0.0.1", session=session) as secured:
            secured.sendall(head + body)
            answer = b"".join(iter(lambda: secured.recv(65536), b""))
            session = secured.session
            return bool(secured.session_reused), answer

    # More often than there are processes: each knows the others' tickets (until the CA is renewed, by a later test).
    answers = [report() for _ in range(6)]
    assert [resumed for resumed, _ in answers] == [False, True, True, True, True, True]
    assert all(b" 200 " in answer and b'"layer"' in answer for _, answer in answers)
    store = open_store(f"sqlite:///{furnished.folder / 'data' / 'city.sqlite'}", upgrade=False)
    with store.begin() as opened:
        opened.query(Certificate).filter_by(subject=f"site:{OTHER}").update({"revoked_at": 1.0})
    store.close()
    resumed, answer = report()
    assert resumed
    assert b" 403 " in answer and b"certificate_revoked" in answer


def test_a_ca_is_renewed_by_two_persons_and_its_word_is_signed(city: City) -> None:
    assert city.ask("GET", "/v1/authority")[0] == 204
    city.command("person", "add", "security2", "security", who="security")
    assert "approval_missing" in city.command("ca", "renew", who="security", fails=True)
    number = city.command("approval", "ask", "ca", "--reason", "ten years are over", who="security").strip()
    assert "second_person" in city.command("approval", "yes", number, who="security", fails=True)
    city.command("approval", "yes", number, who="security2")
    assert "not_allowed" in city.command("ca", "renew", who="system", fails=True)
    assert [row["is"] for row in json.loads(city.command("ca", "renew", who="security"))["ca"]] == [
        "makes certificates",
        "next",
    ]
    assert "ca_too_soon" in city.command("ca", "switch", who="security", fails=True)
    status, word = city.ask("GET", "/v1/authority")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(city.command("identity", "city.pub")))
    said = envelope.open_authority(json.dumps(word), key)
    assert status == 200
    assert said.sequence > 1, "the second in which that CA begins: no folder that is laid back repeats it"
    assert set(said.certificates) == {
        (city.folder / "signing" / name).read_text(encoding="ascii") for name in ("ca.pem", "ca-2.pem")
    }
    assert len(x509.load_pem_x509_certificates(city.command("identity", "ca.pem").encode("ascii"))) == 2
    assert city.ask("GET", "/v1/ca")[1] == (city.folder / "signing" / "ca.pem").read_bytes(), "still the first one"


def test_an_alert_is_acknowledged_on_the_command_line(city: City) -> None:
    store = open_store(f"sqlite:///{city.folder / 'data' / 'city.sqlite'}", upgrade=False)
    with store.begin() as session:
        number = alerts.raise_(session, 1.0, "concentrator_silent", "concentrator:x", "error", concentrator="x").id
    assert "not_allowed" in city.command("acknowledge", str(number), "on the way", who="audit", fails=True)
    assert (
        json.loads(city.command("acknowledge", str(number), "on the way", who="system"))["acknowledged_by"] == "system"
    )
    assert "\tsystem\t" in city.command("alerts", who="system")
    with store.begin() as session:
        alerts.close(session, 2.0, "concentrator_silent", "concentrator:x")
    store.close()
    assert "alert_unknown" in city.command("acknowledge", str(number), "again", who="system", fails=True)


def test_c02_the_server_speaks_tls_1_3_and_with_its_own_name_alone(city: City) -> None:
    old = city.context()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        city.ask("GET", "/v1/ca", context=old)
    stranger = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        city.ask("GET", "/v1/ca", context=stranger)
    with (
        socket.create_connection(("127.0.0.1", city.port), 10) as raw,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        city.context().wrap_socket(raw, server_hostname="192.0.2.99")
    assert city.ask("GET", "/v1/ca")[0] == 200


def test_c02_a_certificate_of_another_ca_ends_in_tls(city: City, tmp_path: Path) -> None:
    box = Box()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"site:{SITE}")])
    import datetime

    now = datetime.datetime.now(datetime.UTC)
    own = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(box.key.public_key()).serial_number(7)
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(box.key, hashes.SHA256())
    )  # fmt: skip
    context = device_context(city, box, own.public_bytes(serialization.Encoding.PEM).decode(), tmp_path)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        city.ask("GET", "/v1/ca", context=context)


def test_c06_hostile_requests_end_quickly_and_leave_the_server_as_it_was(city: City) -> None:
    assert city.ask("POST", "/v1/enrol", b"[" * 10_000)[0] == 400
    with pytest.raises((OSError, http.client.HTTPException)):
        for _ in range(3):  # it answers 413 and hangs up, before or while the rest is sent
            status, said = city.ask("POST", "/v1/enrol", b"x" * (8 << 20))
            assert (status, said["rule"]) == (413, "body_long")
        raise ConnectionError
    assert city.ask("GET", "/v1/../../etc/passwd")[0] in (400, 404)
    silent = [socket.create_connection(("127.0.0.1", city.port), 5) for _ in range(40)]
    try:
        assert city.ask("GET", "/v1/ca")[0] == 200, "forty that say nothing hold nobody up"
    finally:
        for each in silent:
            each.close()


def test_who_does_not_close_after_his_answer_holds_nobody_up(city: City) -> None:
    """One journey to a box is long, and some never close: sixty times two seconds would be longer than anybody waits."""

    def held(_: int) -> ssl.SSLSocket:
        line = socket.create_connection(("127.0.0.1", city.port), 20)
        secured = city.context().wrap_socket(line, server_hostname="127.0.0.1")
        secured.sendall(b"GET /v1/ca HTTP/1.0\r\n\r\n")
        assert b" 200 " in secured.recv(4096)
        return secured

    with ThreadPoolExecutor(60) as pool:
        lines = list(pool.map(held, range(60)))
        assert city.ask("GET", "/v1/ca")[0] == 200
    for secured in lines:
        secured.close()


def test_the_signing_process_answers_its_own_users_alone(city: City) -> None:
    assert over_socket(city.folder / "socket" / "sign.sock").identity().city_key
    if os.geteuid() != 0:
        pytest.skip("to be somebody else one must be root")
    os.chmod(city.folder, 0o711)  # noqa: S103 - the socket's own judgement is what is tried
    for parent in city.folder.parents:
        if parent.name.startswith("pytest"):
            os.chmod(parent, 0o711)
    asked = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from pathlib import Path; from city.signing.client import over_socket\n"
        "over_socket(Path(sys.argv[1])).identity()"
    )
    words = [sys.executable, "-c", asked, str(city.folder / "socket" / "sign.sock")]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert "SignerAway" in said.stderr


def test_a_box_without_the_citys_libraries_says_so() -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; import edge.cli; sys.exit(edge.cli.main(['city', 'pending']))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 2
    assert "city_not_installed" in said.stderr
    assert "Traceback" not in said.stderr
