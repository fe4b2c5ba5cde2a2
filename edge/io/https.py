"""One question to the city's own servers, by TLS 1.3: the city's CA alone, the address as the name, no redirect, one deadline.

No store of well-known CAs is asked and no name is resolved. Time is judged here and not by OpenSSL, for the box's clock
may be wrong (``netconf.certificates``). HTTP/1.0: the answer ends with the connection.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from netconf.certificates import CertificateRefused, judge_time

MAX_ANSWER_BYTES = 1 << 18
_PIECE_BYTES = 1 << 14
#: X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h).
_NO_CHECK_TIME = 0x200000
#: X509_verify_cert's errors (ibid.).
_OTHER_CA, _OTHER_NAME = frozenset((2, 7, 18, 19, 20, 21)), frozenset((62, 64))


class HttpsRefused(Exception):
    """The other end is not to be believed, or does not believe us; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom we believe: these CAs, judged at ``now`` (None: no clock to judge by); and who we are, certificate and key."""

    cas: tuple[x509.Certificate, ...]
    now: float | None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server of the city's is."""

    address: str
    port: int


class Resumption:
    """What the last exchange with a server has left, so that the next need not prove all again (RFC 8446 2.2): in memory alone.

    It is used for the same server, the same trust and the same certificate, and thrown away by whatever goes wrong.
    """

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._context: ssl.SSLContext | None = None
        self._session: ssl.SSLSession | None = None

    def context(self, server: Server, trust: Trust) -> ssl.SSLContext:
        """Return the context of the last exchange, if it was the same one."""
        stamps = [
            file and (file, file.stat().st_mtime_ns, file.stat().st_ino) for file in (trust.certificate, trust.key)
        ]
        of = (server, trust.cas, *stamps)
        if self._context is None or of != self._of:
            self._of, self._context, self._session = of, _context(trust), None
        return self._context

    def wrapped(self, line: socket.socket, context: ssl.SSLContext, address: str) -> ssl.SSLSocket:
        """Return the line under TLS; what was left is good for this once."""
        session, self._session = self._session, None
        return context.wrap_socket(line, server_hostname=address, session=session)

    def keep(self, secured: ssl.SSLSocket) -> None:
        """Keep what an exchange that was good from end to end has left."""
        self._session = secured.session


#: Returns a connection to a server, made within so many seconds, or raises OSError.
Dial = Callable[[Server, float], socket.socket]


def connected(server: Server, seconds: float) -> socket.socket:
    """Return a connection by whatever way leads there.

    Raises:
        OSError: the server is away, or too slow.
    """
    return socket.create_connection((server.address, server.port), timeout=seconds)


def exchange(
    server: Server,
    target: str,
    body: bytes | None,
    trust: Trust | None,
    seconds: float,
    dial: Dial = connected,
    resumption: Resumption | None = None,
) -> tuple[int, bytes]:
    """Ask (POST with a ``body``, else GET) and return the status and what was answered, within ``seconds`` in all.

    Without ``trust`` nobody is believed: that is for fetching what is compared with a pin. ``resumption``: of the exchanges
    with this server, for who comes again within minutes.

    Raises:
        HttpsRefused: a rule of the above is broken.
        OSError: the server is away, or too slow.
    """
    until = time.monotonic() + seconds
    try:
        kept = resumption if resumption is not None and trust is not None else Resumption()
        context = kept.context(server, trust) if trust is not None else _context(None)
        with dial(server, seconds) as line:
            line.settimeout(_left(until))
            # Else the request waits 40 ms for the server to acknowledge the last words of the handshake (Nagle).
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with kept.wrapped(line, context, server.address) as secured:
                if trust is not None:
                    _judge(secured, trust)
                secured.settimeout(_left(until))
                secured.sendall(_request(server, target, body))
                answer = _answer(_read(secured, until))
                kept.keep(secured)
                return answer
    except ssl.SSLCertVerificationError as wrong:
        raise HttpsRefused(_rule(wrong.verify_code)) from None
    except ssl.SSLError as wrong:
        raise HttpsRefused(_alert(str(wrong.reason or ""))) from None


def _context(trust: Trust | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if trust is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= _NO_CHECK_TIME
    pems = (ca.public_bytes(serialization.Encoding.PEM).decode("ascii") for ca in trust.cas)
    context.load_verify_locations(cadata="".join(pems))
    if trust.certificate is not None and trust.key is not None:
        context.load_cert_chain(trust.certificate, trust.key)
    return context


def _judge(secured: ssl.SSLSocket, trust: Trust) -> None:
    der = secured.getpeercert(binary_form=True) or b""
    try:
        judge_time(x509.load_der_x509_certificate(der), trust.now)
    except CertificateRefused as wrong:
        raise HttpsRefused(f"server_{wrong.rule}") from None
    except ValueError:
        raise HttpsRefused("server_certificate_wrong") from None


def _rule(verified: int) -> str:
    if verified in _OTHER_CA:
        return "server_other_ca"
    return "server_other_name" if verified in _OTHER_NAME else "server_certificate_wrong"


def _alert(reason: str) -> str:
    if "PROTOCOL" in reason or "WRONG_VERSION" in reason:
        return "server_tls_old"
    # What a server says in TLS 1.3 of a client's certificate comes as an alert, after the handshake (RFC 8446 4.4.2.4).
    if any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")):
        return "server_refuses_certificate"
    return "server_tls_broken"


def _request(server: Server, target: str, body: bytes | None) -> bytes:
    head = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.0", f"Host: {server.address}:{server.port}"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode("ascii") + (body or b"")


def _read(secured: ssl.SSLSocket, until: float) -> bytes:
    found = b""
    while True:
        secured.settimeout(_left(until))
        piece = secured.recv(_PIECE_BYTES)
        if not piece:
            return found
        found += piece
        if len(found) > MAX_ANSWER_BYTES:
            raise HttpsRefused("server_answer")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _answer(data: bytes) -> tuple[int, bytes]:
    head, gap, body = data.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    words = first.split(b" ", 2)
    if not gap or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise HttpsRefused("server_answer")
    for field in fields:
        name, _, value = field.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip() != str(len(body)).encode("ascii"):
            raise HttpsRefused("server_answer")
        if name.strip().lower() == b"transfer-encoding":
            raise HttpsRefused("server_answer")
    status = int(words[1][:4])
    if 300 <= status < 400:
        raise HttpsRefused("server_redirects")
    return status, body
