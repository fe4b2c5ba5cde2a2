"""The HTTPS server: gunicorn's threaded worker, several processes, TLS 1.3, client certificates where a client has one.

How a view learns the client's certificate: gunicorn's ``wsgi.default_environ`` puts the connection itself into the environ
(``gunicorn.socket``), which under TLS is an ``ssl.SSLSocket``; ``callers.presented`` asks it. The context is ours
(``ssl_context``; gunicorn makes one for each connection by that hook, we keep ours as long as the files are the same, so
that a renewed certificate is taken up by itself). ``CERT_OPTIONAL``: a box that enrols has none yet. OpenSSL judges the chain,
but not the time (``_NO_CHECK_TIME``): a certificate that has run out would otherwise end in a TLS alert, where ``callers``
can say its name.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from city.registry.certificates import keep
from city.registry.signer import Signer
from city.registry.store import Store
from netconf import certificates, durable
from netconf.notify import Supervisor

#: A thread is held while a box's words are on their way: three journeys a report, of some tens of milliseconds each.
THREADS, WORKERS = 48, 2
#: After its answer a connection that ends is let go when the other end has closed too, and after so long at the latest.
LINGER_SECONDS, LINGER_BYTES = 2.0, 1 << 16
#: One that sends nothing for so long is let go; a concentrator's question is held open for 25 s at most by us, not by it.
SILENT_SECONDS = 15
#: How long the master process may be silent towards its supervisor.
SILENCE_SECONDS = 30.0
SERVER_DAYS, RENEW_DAYS = 398, 90
MAX_FILE_BYTES = 1 << 16
#: OpenSSL's X509_V_FLAG_NO_CHECK_TIME; Python's ``VerifyFlags`` has no name for it.
_NO_CHECK_TIME = 0x200000
_TIMEVAL = struct.Struct("ll")


def ensure_certificate(folder: Path, store: Store, signer: Signer, names: list[str], now: float) -> None:
    """Make the server's own key and certificate if there are none, they end soon, its names or the city's CA have changed."""
    city = signer.identity()
    _know(folder, "".join(city.trusted))
    key = _key(folder / "server.key")
    try:
        have = x509.load_pem_x509_certificate(durable.read(folder / "server.pem", MAX_FILE_BYTES))
        said = have.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        fits = (
            have.public_key() == key.public_key()
            and have.not_valid_after_utc.timestamp() - now > RENEW_DAYS * 86_400
            and [str(name.value) for name in said] == names
            and certificates.made_by(have, x509.load_pem_x509_certificate(city.ca.encode("ascii")))
        )
    except (OSError, ValueError, x509.ExtensionNotFound):
        fits = False
    if fits:
        return
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = signer.certify(
        asked.public_bytes(serialization.Encoding.PEM).decode("ascii"), "server", days=SERVER_DAYS, names=names
    )
    with store.begin() as session:
        keep(session, pem)
    durable.write(folder / "server.pem", pem.encode("ascii"), 0o644)


def _know(folder: Path, cas: str) -> None:
    """Keep by whose certificates clients are known."""
    try:
        if durable.read(folder / "ca.pem", MAX_FILE_BYTES).decode("ascii") == cas:
            return
    except (OSError, ValueError):
        pass
    durable.write(folder / "ca.pem", cas.encode("ascii"), 0o644)


def context(folder: Path) -> ssl.SSLContext:
    """Return the TLS context of the server: 1.3 alone, whoever shows a certificate shows one of this city's CA."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(folder / "server.pem", folder / "server.key")
    made.load_verify_locations(folder / "ca.pem")
    made.verify_mode = ssl.CERT_OPTIONAL
    made.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    # Who comes again within two hours (OpenSSL's time for a ticket) need not prove his certificate again: it is in the
    # ticket, and ``callers`` asks the table about it as always (docs/adr/0032).
    made.num_tickets = 1
    return made


class Contexts:
    """The context of the moment; made anew when the files have changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: tuple[tuple[int, ...], ssl.SSLContext] | None = None

    def __call__(self, _settings: Any, _default: Any) -> ssl.SSLContext:
        stamp = tuple((self._folder / name).stat().st_mtime_ns for name in ("server.pem", "ca.pem"))
        if self._made is None or self._made[0] != stamp:
            self._made = stamp, context(self._folder)
        return self._made[1]


class _Beating(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Says in each turn of its loop that it turns. A worker that is silent it kills itself (``timeout``)."""

    def __init__(self, app: Application) -> None:
        self._supervisor = app.supervisor
        super().__init__(app)

    def murder_workers(self) -> None:
        self._supervisor.beat()
        super().murder_workers()


class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with our settings; ``make`` makes the app in each worker process, after the fork."""

    def __init__(self, make: Callable[[], Any], folder: Path, binds: list[str], workers: int = WORKERS) -> None:
        self._make, self._folder, self._binds, self._workers = make, folder, binds, workers
        self._contexts = Contexts(folder)
        # Made before the fork, so that all processes know each other's tickets.
        self._contexts(None, None)
        # It takes the line away from gunicorn, which would say that it is ready and nothing else.
        self.supervisor = Supervisor(SILENCE_SECONDS)
        super().__init__()

    def run(self) -> None:
        """Answer until a signal comes."""
        _Beating(self).run()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": self._binds,
            "workers": self._workers,
            "worker_class": Worker,
            "threads": THREADS,
            "worker_connections": 4000,
            "keepalive": 75,
            "timeout": 60,
            "graceful_timeout": 10,
            "certfile": str(self._folder / "server.pem"),
            "keyfile": str(self._folder / "server.key"),
            "ssl_context": self._contexts,
            "limit_request_line": 2048,
            "limit_request_fields": 32,
            "limit_request_field_size": 4096,
            "when_ready": lambda _: self.supervisor.ready(),
            "post_worker_init": _patience,
            "proc_name": "snowgate city",
            "loglevel": "warning",
            # Its control socket would be one more way in.
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make()


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, which waits for a client to close after the answer in its one thread that accepts and
    hands out: nobody else is served for a whole journey to that client, and for two seconds if he does not close. Here the
    thread waits that has answered; what the other one does then is done at once.
    """

    def handle(self, conn: Any) -> Any:
        """Answer a request; as gunicorn's."""
        goes_on = super().handle(conn)
        if goes_on is False:
            _linger(conn.sock)
        return goes_on


def _linger(line: socket.socket) -> None:
    """Say that nothing more comes, and read what may come still, so that the end of our answer is not lost (RFC 9112 9.6)."""
    with contextlib.suppress(OSError, ValueError):
        line.shutdown(socket.SHUT_WR)
        until, heard = time.monotonic() + LINGER_SECONDS, 0
        while heard < LINGER_BYTES and (left := until - time.monotonic()) > 0:
            line.settimeout(left)
            data = line.recv(4096)
            if not data:
                break
            heard += len(data)
    with contextlib.suppress(OSError, ValueError):
        line.shutdown(socket.SHUT_RDWR)


def _patience(worker: Any) -> None:
    """Let no silent client hold a thread: the kernel ends its reads and writes. Connections inherit it from the listener."""
    for listener in worker.sockets:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(SILENT_SECONDS, 0))


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(durable.read(path, MAX_FILE_BYTES), None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    except (FileNotFoundError, ValueError):
        pass
    made = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.PrivateFormat.PKCS8
    durable.write(path, made.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()), 0o600)
    return made
