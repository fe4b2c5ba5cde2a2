"""C02 over real TLS on loopback: who is not exactly the city's server is told nothing; F20, F32: and no clock shuts a box out.

Each refusal has its control, the right server in the same test.
"""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.agent.link import Known, Link, LinkRefused
from edge.io import credentials
from edge.io.https import HttpsRefused, Server, exchange
from edge.lab.authority import Authority
from netconf import certificates, enrolment, envelope, secrets

SITE, ADDRESS = "34020000002008000001", "127.0.0.1"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
KEY = "A" * 43 + "="


@dataclass
class City:
    """A server of a city's, which keeps what it was told."""

    context: ssl.SSLContext
    answer: bytes
    heard: list[bytes] = field(default_factory=list)
    port: int = 0
    #: What else it answers, by the path that is asked for.
    answers: dict[bytes, bytes] = field(default_factory=dict)

    def run(self, listener: socket.socket) -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            line.settimeout(5)
            try:
                with self.context.wrap_socket(line, server_side=True) as secured:
                    data = b""
                    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
                        came = secured.recv(65536)
                        if not came:
                            break
                        data += came
                    self.heard += [data] if data else []
                    secured.sendall(self.answers.get(data.split(b" ", 2)[1] if data else b"", self.answer))
            except OSError:
                line.close()


def _length(data: bytes) -> int:
    head = data.partition(b"\r\n\r\n")[0].lower()
    _, _, rest = head.partition(b"content-length: ")
    return int(rest.split(b"\r\n")[0]) if rest else 0


def said(status: str, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


@contextmanager
def serving(context: ssl.SSLContext, answer: bytes) -> Iterator[City]:
    with socket.create_server((ADDRESS, 0)) as listener:
        city = City(context, answer, port=listener.getsockname()[1])
        thread = threading.Thread(target=city.run, args=(listener,), daemon=True)
        thread.start()
        yield city
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@dataclass
class Box:
    """A box that a city has enrolled."""

    folder: Path
    authority: Authority
    known: Known = field(init=False)
    link: Link = field(init=False)
    key: ec.EllipticCurvePrivateKey = field(init=False)
    #: The key of the city that it belongs to.
    city: Ed25519PublicKey | None = None

    def __post_init__(self) -> None:
        for name in ("enrol", "agent"):
            (self.folder / "state" / name).mkdir(parents=True)
        self.key = secrets.ensure_device_key(self.folder / "device")
        self.known = Known(self.authority.pin, clock_behind=False, wireguard={"wg-a": KEY})
        self.link = Link(self.folder / "state", self.folder / "device" / "device.key", self.key, SITE)
        credentials.keep_ca(self.folder / "state", self.authority.pem)

    def certified(self, **span: datetime.timedelta) -> Box:
        credentials.keep(self.folder / "state", "enrol", self.authority.device(self.key.public_key(), SITE, **span))
        return self

    def post(self, city: City, now: datetime.datetime = NOW, **known: Any) -> dict[str, Any]:
        told = Known(self.known.pin, known.get("behind", False), self.known.wireguard, self.city)
        return self.link.post(Server(ADDRESS, city.port), '{"a": 1}', told, now.timestamp())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path, Authority(tmp_path / "ca")).certified()


def context(
    pair: tuple[Path, Path], authority: Authority | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = made.maximum_version = version
    made.load_cert_chain(*pair)
    if authority is not None:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(cadata=authority.pem.decode("ascii"))
    return made


def right(box: Box) -> ssl.SSLContext:
    return context(box.authority.server("right", ADDRESS), box.authority)


GOOD = said("200 OK", {"layer": "x"})


def refused(box: Box, made: ssl.SSLContext, answer: bytes = GOOD, **more: Any) -> str:
    """The rule by which a server is refused, and the control: the right one in its place is told the report."""
    with serving(made, answer) as city, pytest.raises(HttpsRefused) as wrong:
        box.post(city, **more)
    if answer is GOOD:
        assert city.heard == [], "nothing was sent to it"
    with serving(right(box), GOOD) as city:
        assert box.post(city) == {"layer": "x"}
        assert city.heard[0].endswith(b'{"a": 1}')
    return wrong.value.rule


def test_c02_a_server_of_another_ca(box: Box, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    assert refused(box, context(other.server("s", ADDRESS), None)) == "server_other_ca"


def test_c02_a_self_signed_server(box: Box, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ADDRESS)])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY).sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = tmp_path / "self.pem", tmp_path / "self.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    assert refused(box, context(paths, None)) == "server_other_ca"


def test_c02_a_server_for_another_address(box: Box) -> None:
    assert refused(box, context(box.authority.server("s", "192.0.2.1"), None)) == "server_other_name"


def test_c02_a_device_that_plays_the_server(box: Box, tmp_path: Path) -> None:
    """Another box's certificate is of the same CA, but no server's."""
    key = ec.generate_private_key(ec.SECP256R1())
    paths = tmp_path / "d.pem", tmp_path / "d.key"
    paths[0].write_text(box.authority.device(key.public_key(), SITE), encoding="ascii")
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    assert refused(box, context(paths, None)) in ("server_certificate_wrong", "server_other_name")


def test_c02_an_expired_server_and_one_of_tomorrow(box: Box) -> None:
    old = box.authority.server("old", ADDRESS, begins=-3 * DAY / 2, ends=-DAY)
    assert refused(box, context(old, None)) == "server_certificate_expired"
    young = box.authority.server("young", ADDRESS, begins=DAY, ends=2 * DAY)
    assert refused(box, context(young, None)) == "server_certificate_not_yet"


def test_c02_a_server_that_speaks_tls_1_2(box: Box) -> None:
    pair = box.authority.server("s", ADDRESS)
    assert refused(box, context(pair, None, ssl.TLSVersion.TLSv1_2)) == "server_tls_old"


def test_c02_a_server_that_sends_elsewhere(box: Box) -> None:
    with serving(right(box), GOOD) as other:
        moved = f"HTTP/1.1 307 T\r\nLocation: https://{ADDRESS}:{other.port}/v1/report\r\nContent-Length: 0\r\n\r\n"
        assert refused(box, right(box), moved.encode()) == "server_redirects"
    assert other.heard == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000,
        b"HTTP/1.1 503 Busy\r\n\r\n{}",
        b"HTTP/1.1 2x0 OK\r\n\r\n{}",
        b"SSH-2.0-x\r\n\r\n{}",
    ],
)
def test_an_answer_that_is_none_is_refused_by_name(box: Box, answer: bytes) -> None:
    assert refused(box, right(box), answer) == "server_answer"


def test_a_server_that_only_drips_is_left_in_time(box: Box) -> None:
    with serving(right(box), b"HTTP/1.1 200 OK\r\n") as city:
        city.answer = b""
        with pytest.raises((HttpsRefused, OSError)):
            exchange(Server(ADDRESS, city.port), "/", b"{}", None, 0.5)


def test_a_city_that_does_not_take_our_certificate_is_heard(box: Box, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    made = context(box.authority.server("s", ADDRESS), other)
    with serving(made, GOOD) as city, pytest.raises(HttpsRefused) as wrong:
        box.post(city)
    # Its alert may be overtaken by the end of the connection.
    assert wrong.value.rule in ("server_refuses_certificate", "server_tls_broken")


@pytest.mark.parametrize(("status", "body", "rule"), [
    ("403 Forbidden", {"rule": "certificate_expired"}, "server_refuses_certificate"),
    ("401 Unauthorized", {"rule": "certificate_missing"}, "server_refuses_certificate"),
    ("403 Forbidden", {"rule": "report_other_site"}, "server_answer"),
    ("500 Error", {"rule": "certificate_expired"}, "server_answer"),
    ("403 Forbidden", {"rule": 7}, "server_answer"),
])  # fmt: skip
def test_a_city_that_says_so_behind_tls_is_heard_too(box: Box, status: str, body: dict[str, Any], rule: str) -> None:
    with serving(right(box), said(status, body)) as city, pytest.raises(HttpsRefused) as wrong:
        box.post(city)
    assert wrong.value.rule == rule


def test_c04_a_box_that_was_revoked_hears_the_word_instead_of_a_certificate(box: Box) -> None:
    made = context(box.authority.server("s", ADDRESS), None)
    with serving(made, said("200 OK", {"state": "revoked", "revocation": "x"})) as city:
        assert box.link.ask_anew(Server(ADDRESS, city.port), box.known, NOW.timestamp()) == (False, "x")


# -- the box's own certificate, and the clock ------------------------------------------------------------------------


def test_f32_an_expired_certificate_is_said_and_another_is_asked_for_without_it(tmp_path: Path) -> None:
    box = Box(tmp_path, Authority(tmp_path / "ca")).certified(begins=-DAY / 2, ends=-DAY / 4)
    fresh = box.authority.device(box.key.public_key(), SITE)
    answer = said("200 OK", {"state": "approved", "certificate": fresh, "layer": ""})
    made = context(box.authority.server("s", ADDRESS), None)
    with serving(made, answer) as city:
        with pytest.raises(LinkRefused) as wrong:
            box.post(city)
        assert wrong.value.rule == "certificate_expired"
        assert city.heard == []
        assert box.link.ask_anew(Server(ADDRESS, city.port), box.known, NOW.timestamp()) == (True, None)
    request, device = enrolment.open_request(city.heard[0].partition(b"\r\n\r\n")[2].decode())
    assert (request.site, request.claim, request.wireguard) == (SITE, "", {"wg-a": KEY})
    assert device == box.key.public_key()
    with serving(right(box), GOOD) as city:
        assert box.post(city) == {"layer": "x"}, "and with it the box reports again"


def test_a_certificate_is_renewed_before_it_ends_and_only_by_a_better_one(tmp_path: Path, box: Box) -> None:
    assert box.link.request(box.known, NOW.timestamp()) == ""
    late = (NOW + 75 * DAY).timestamp()
    assert "CERTIFICATE REQUEST" in box.link.request(box.known, late)
    key, other = box.key.public_key(), Authority(tmp_path / "other")
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    wrong = {
        "certificate_other_ca": other.device(key, SITE),
        "certificate_other_key": box.authority.device(stranger, SITE),
        "certificate_other_site": box.authority.device(key, "34020000002008000009"),
        "certificate_form": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        "certificate_expired": box.authority.device(key, SITE, begins=-DAY, ends=-DAY / 2),
        "certificate_not_yet": box.authority.device(key, SITE, begins=DAY, ends=400 * DAY),
    }
    for rule, pem in wrong.items():
        with pytest.raises(LinkRefused) as refused:
            box.link.keep(pem, box.known, NOW.timestamp())
        assert refused.value.rule == rule
        assert not (tmp_path / "state" / "agent" / "certificate.pem").exists()
    assert not box.link.keep(box.authority.device(key, SITE, ends=80 * DAY), box.known, NOW.timestamp()), "no better"
    assert box.link.keep(box.authority.device(key, SITE, ends=100 * DAY), box.known, NOW.timestamp())
    assert box.link.request(box.known, late) != ""
    assert box.link.request(box.known, (NOW + 69 * DAY).timestamp()) == ""


@pytest.mark.parametrize("year", [1970, 2099])
def test_f20_a_clock_that_is_known_to_be_wrong_judges_nobody(box: Box, year: int) -> None:
    """Before the CA began or after it ends no certificate of it can be judged; key, issuer and name still are."""
    wrong = datetime.datetime(year, 1, 2, tzinfo=datetime.UTC)
    with serving(right(box), GOOD) as city:
        assert box.post(city, wrong) == {"layer": "x"}
    assert box.link.request(box.known, wrong.timestamp()) == "", "nobody knows when it ends"
    with (
        serving(context(box.authority.server("s", "192.0.2.1"), None), GOOD) as city,
        pytest.raises(HttpsRefused) as no,
    ):
        box.post(city, wrong)
    assert no.value.rule == "server_other_name"


def test_a_clock_within_the_cas_years_is_believed_unless_it_is_behind(box: Box) -> None:
    later = NOW + 400 * DAY
    pair = box.authority.server("long", ADDRESS, ends=800 * DAY)
    box.certified(ends=800 * DAY)
    with serving(context(pair, box.authority), GOOD) as city:
        assert box.post(city, later) == {"layer": "x"}
    short = box.authority.server("short", ADDRESS, ends=300 * DAY)
    with serving(context(short, box.authority), GOOD) as city:
        with pytest.raises(HttpsRefused) as wrong:
            box.post(city, later)
        assert wrong.value.rule == "server_certificate_expired"
        assert box.post(city, later, behind=True) == {"layer": "x"}, "below a time that was seen: it is wrong"


def test_without_the_pinned_ca_there_is_nobody_to_speak_to(tmp_path: Path) -> None:
    box = Box(tmp_path, Authority(tmp_path / "ca")).certified()
    stranger = Known("0" * 64, clock_behind=False, wireguard={})
    with pytest.raises(LinkRefused) as wrong:
        box.link.post(Server(ADDRESS, 9), "{}", stranger, NOW.timestamp())
    assert wrong.value.rule == "certificate_missing"
    (tmp_path / "state" / "enrol" / "certificate.pem").write_text("torn", encoding="ascii")
    assert credentials.read(tmp_path / "state", box.known.pin, box.key.public_key(), SITE, None) is not None
    with pytest.raises(LinkRefused):
        box.link.post(Server(ADDRESS, 9), "{}", box.known, NOW.timestamp())


def test_the_request_for_a_certificate_names_the_site_and_the_devices_key(box: Box) -> None:
    asked = x509.load_pem_x509_csr(certificates.request(box.key, SITE).encode("ascii"))
    assert asked.is_signature_valid
    assert asked.public_key() == box.key.public_key()
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:snowgate:site:{SITE}"]


# -- the session of the last report (docs/adr/0032) ------------------------------------------------------------------


def resumed(made: ssl.SSLContext, box: Box, posts: int, between: Any = lambda: None) -> list[bool]:
    """Post so often; return of each whether its connection went on with a session."""
    found = []

    def noted(line: Any, *words: Any, **named: Any) -> ssl.SSLSocket:
        secured = ssl.SSLContext.wrap_socket(made, line, *words, **named)
        found.append(secured.session_reused)
        return secured

    made.wrap_socket = noted  # type: ignore[method-assign]
    with serving(made, GOOD) as city:
        for _ in range(posts):
            assert box.post(city) == {"layer": "x"}
            between()
    return found


def test_a_report_goes_on_with_the_session_of_the_last_one(box: Box) -> None:
    assert resumed(right(box), box, 3) == [False, True, True]


def test_with_another_certificate_it_begins_anew(box: Box) -> None:
    assert resumed(right(box), box, 2, lambda: box.certified(ends=80 * DAY)) == [False, False]


def test_a_server_that_does_not_know_the_session_makes_a_whole_handshake(box: Box) -> None:
    made = right(box)
    made.num_tickets = 0
    assert resumed(made, box, 2) == [False, False]


def test_c02_a_session_makes_nobody_believe_another_server(box: Box, tmp_path: Path) -> None:
    listener = socket.create_server((ADDRESS, 0))
    port = listener.getsockname()[1]
    with listener:
        city = City(right(box), GOOD, port=port)
        thread = threading.Thread(target=city.run, args=(listener,), daemon=True)
        thread.start()
        assert box.post(city) == {"layer": "x"}
        city.context = context(Authority(tmp_path / "other").server("s", ADDRESS), None)
        with pytest.raises(HttpsRefused) as wrong:
            box.post(city)
        assert wrong.value.rule == "server_other_ca"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert len(city.heard) == 1


def test_f20_a_server_whose_certificate_has_run_out_since_is_refused_with_a_session_too(box: Box) -> None:
    pair = box.authority.server("short", ADDRESS, ends=DAY)
    box.certified(ends=80 * DAY)
    with serving(context(pair, box.authority), GOOD) as city:
        assert box.post(city) == {"layer": "x"}
        with pytest.raises(HttpsRefused) as wrong:
            box.post(city, NOW + 2 * DAY)
    assert wrong.value.rule == "server_certificate_expired"


LATER = 4_000_000_000


def word(city: Ed25519PrivateKey, sequence: int, *authorities: Authority) -> bytes:
    """The answer in which a city says by which CAs it is known; ``sequence`` counts from after the begin of all of them."""
    pems = [each.pem.decode("ascii") for each in authorities]
    text = envelope.sign("authority", {"sequence": LATER + sequence, "certificates": pems}, city)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


@pytest.fixture
def renewed(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "renewed", name="lab city CA 2")


def test_a_box_that_was_dark_while_its_city_renewed_its_ca_comes_back(box: Box, renewed: Authority) -> None:
    city = Ed25519PrivateKey.generate()
    box.city = city.public_key()
    made = context(renewed.server("s", ADDRESS), None)
    made.verify_mode = ssl.CERT_REQUIRED  # whose certificates it knows, both CAs'
    made.load_verify_locations(cadata=(box.authority.pem + renewed.pem).decode("ascii"))
    with serving(made, GOOD) as server:
        made.verify_mode = ssl.CERT_OPTIONAL
        server.answers[b"/v1/authority"] = word(city, 1, renewed, box.authority)
        # A year later, and its own certificate of 90 days is not asked for here: only whom it believes.
        assert box.post(server) == {"layer": "x"}
        assert box.link.followed == 1
        assert [line.split(b" ", 2)[1] for line in server.heard] == [b"/v1/authority", b"/v1/report"]
        assert box.post(server) == {"layer": "x"}
        assert len(server.heard) == 3, "and it knows from then on"
    assert box.link.keep(renewed.device(box.key.public_key(), SITE, ends=99 * DAY), known_of(box), NOW.timestamp())
    with serving(right(box), GOOD) as old, pytest.raises(HttpsRefused):
        box.post(old)  # its certificate is of a CA that this one does not know
    with serving(context(box.authority.server("again", ADDRESS), None), GOOD) as old:
        assert box.post(old) == {"layer": "x"}, "a server that has not changed yet is believed, too"


def known_of(box: Box) -> Known:
    return Known(box.known.pin, clock_behind=False, wireguard={}, city=box.city)


def test_a_box_that_has_lost_its_cas_file_comes_back_as_well(box: Box, renewed: Authority, tmp_path: Path) -> None:
    city = Ed25519PrivateKey.generate()
    box.city = city.public_key()
    with serving(context(renewed.server("s", ADDRESS), None), GOOD) as server:
        server.answers[b"/v1/authority"] = word(city, 1, renewed, box.authority)
        box.post(server)
        (tmp_path / "state/enrol/ca.pem").unlink()
        assert box.post(server) == {"layer": "x"}


@pytest.mark.parametrize(
    "wrong", ["another key", "none", "of another purpose", "not newer", "older than the bundle", "not signed for us"]
)
def test_who_is_in_between_cannot_name_a_ca(box: Box, renewed: Authority, tmp_path: Path, wrong: str) -> None:
    """Each with the control: the city's own word is followed afterwards."""
    city, other = Ed25519PrivateKey.generate(), Authority(tmp_path / "in between", name="lab city CA 3")
    box.city = city.public_key()
    if wrong == "not newer":
        with serving(context(renewed.server("s", ADDRESS), None), GOOD) as server:
            server.answers[b"/v1/authority"] = word(city, 1, renewed, box.authority)
            box.post(server)
    revocation = envelope.sign("revocation", {"site": SITE, "device": "d", "epoch": 1, "at": 1, "reason": "x"}, city)
    answers = {
        "another key": word(Ed25519PrivateKey.generate(), 9, other),
        "none": said("404 Not Found", {}),
        "of another purpose": said("200 OK", json.loads(revocation)),
        "not newer": word(city, 1, other),
        "older than the bundle": word(
            city, int(box.authority.certificate.not_valid_before_utc.timestamp()) - LATER, other
        ),
        "not signed for us": said("200 OK", {"payload": "e30=", "signature": "AAAA"}),
    }
    with serving(context(other.server("s", ADDRESS), None), GOOD) as server:
        server.answers[b"/v1/authority"] = answers[wrong]
        with pytest.raises(HttpsRefused) as refused_:
            box.post(server)
        assert refused_.value.rule == "server_other_ca"
        assert all(b"/v1/authority" in line for line in server.heard), "nothing was told to it"
    with serving(context(other.server("t", ADDRESS), None), GOOD) as server:
        server.answers[b"/v1/authority"] = word(city, 2, other)
        assert box.post(server) == {"layer": "x"}
