"""A registry's door for concentrators that can be shut and opened again: TLS 1.3, certificates of the city's own CA.

It speaks over a socket that somebody else has opened, for the test may stand in another namespace.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.serving import WSGIRequestHandler, make_server

from city.api import concentrators, errors
from city.api.callers import Callers
from city.registry.signer import Signer
from city.registry.store import Store


class Handler(WSGIRequestHandler):
    """Lends the application its connection."""

    def make_environ(self) -> Any:
        environ = super().make_environ()
        environ["gunicorn.socket"] = self.connection  # as the product's server lends it
        return environ

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


def server_files(signer: Signer, folder: Path, address: str) -> None:
    """Lay the server's key, certificate and the CA's certificate into ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode("ascii")
    (folder / "server.pem").write_text(signer.certify(pem, "server", days=30, names=(address,)), encoding="ascii")
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "ca.pem").write_text(signer.identity().ca, encoding="ascii")


def door(store: Store, signer: Signer, clock: Callable[[], float]) -> APIFlask:
    """Return an app that answers concentrators alone."""
    app = APIFlask(__name__, docs_path=None)
    errors.install(app)
    app.register_blueprint(
        concentrators.blueprint(concentrators.Asked(store, signer, Callers(store, signer, clock), clock))
    )
    return app


class RegistryServer:
    """The door; ``clock`` is the registry's."""

    def __init__(self, store: Store, signer: Signer, folder: Path, clock: Any) -> None:
        self._app = door(store, signer, clock)
        self._folder = folder
        self._server: Any = None

    def open(self, listener: socket.socket) -> None:
        """Answer at ``listener``, which is ours from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        context.load_verify_locations(self._folder / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        host, port = listener.getsockname()
        with listener:
            self._server = make_server(host, port, self._app, threaded=True, ssl_context=context,
                                       request_handler=Handler, fd=listener.fileno())  # fmt: skip
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Be away: what is asked next is not answered."""
        if self._server is not None:
            self._server.shutdown()
            with contextlib.suppress(OSError):
                self._server.server_close()
        self._server = None
