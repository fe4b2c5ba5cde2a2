"""The lab's fleet control: hears reports, hands out the layer that lies in its folder, answers the nonce of a change; and
at its door it enrols the one box that has the lab's claim, once a person has said so in its folder.

It stands for the city's control: one box, no registry. What it signs and what it checks is the real thing
(``netconf.envelope``, ``netconf.enrolment``), over TLS 1.3 with the lab city's own CA; who reports shows a certificate.
"""

from __future__ import annotations

import argparse
import base64
import http.server
import json
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.lab.authority import Authority
from netconf import durable, enrolment, envelope, secrets

MAX_REPORT_BYTES = 1 << 20


def city_key(folder: Path) -> Ed25519PrivateKey:
    """Return the lab city's signing key, made at the first call."""
    path = folder / "city.key"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(path, base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()))
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes()))


class Handler(http.server.BaseHTTPRequestHandler):
    """One report, or one word at the door. The folder holds what a person would do at the city's console:

    ``layer.json``: the signed layer to hand out; ``claim``: the claim that is good; ``approved``: the box that asked may
    have the layer; ``rotate``: the tunnel whose next key the box should make; ``revocation.json``: what is said to a box that asks. ``asked.json`` is the last good request.
    """

    folder = Path()
    secrets = Path()
    timeout = 10

    def do_GET(self) -> None:
        if self.path == "/v1/ca":
            self._say(200, Authority(self.folder).pem)
        elif self.path == "/v1/authority" and (self.folder / "authority.json").exists():
            self._say(200, (self.folder / "authority.json").read_bytes())
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if not 0 < size <= MAX_REPORT_BYTES:
            self.send_error(413)
            return
        text = self.rfile.read(size).decode("ascii", "replace")
        if self.path == "/v1/enrol":
            status, answer = self._enrol(text)
            self._say(status, json.dumps(answer).encode("ascii"))
        elif self.path == "/v1/report":
            self._report(text)
        else:
            self.send_error(404)

    def _report(self, text: str) -> None:
        secured = self.connection
        shown = secured.getpeercert() if isinstance(secured, ssl.SSLSocket) else None
        try:
            report = envelope.open_report(text, secrets.ensure_device_key(self.secrets).public_key())
        except (ValueError, envelope.EnvelopeRefused):
            self.send_error(403)
            return
        if not shown:
            self.send_error(401)
            return
        self._keep("report", report)
        self._say(200, json.dumps(self._answer(report)).encode("ascii"))

    def _enrol(self, text: str) -> tuple[int, dict[str, Any]]:
        try:
            request, device = enrolment.open_request(text)
        except enrolment.EnrolmentRefused as refused:
            return 403, {"state": "refused", "rule": refused.rule}
        claim, known = self._read("claim"), self._read("device")
        mine = secrets.key_hash(device)
        if (request.claim != claim if request.claim else mine != known) or (known and mine != known):
            return 409, {"state": "refused", "rule": "claim_used"}
        if not known:
            durable.write(self.folder / "device", mine.encode("ascii"))
        self._keep("asked", {"site": request.site, "device": mine, "wireguard": request.wireguard,
                             "fingerprint": request.fingerprint,
                             "code": enrolment.code(Authority(self.folder).pin, device, claim)})  # fmt: skip
        if revocation := self._read("revocation.json"):
            return 200, {"state": "revoked", "revocation": revocation}
        if not (self.folder / "approved").exists() or not (layer := self._read("layer.json")):
            return 200, {"state": "pending"}
        return 200, {
            "state": "approved",
            "certificate": Authority(self.folder).device(device, request.site),
            "layer": layer,
        }

    def _answer(self, report: dict[str, Any]) -> dict[str, str]:
        if report.get("nonce"):
            facts = {"site": report["site"], "device": report["device"], "nonce": report["nonce"]}
            return {"answer": envelope.sign("answer", facts, city_key(self.folder))}
        rotate = self._read("rotate")
        told = {
            "layer": self._read("layer.json"),
            "rotate": rotate if rotate not in report.get("next_keys", ()) else "",
        }
        return {name: said for name, said in told.items() if said}

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def _keep(self, name: str, said: dict[str, Any]) -> None:
        fresh = self.folder / f"{name}.{threading.get_ident()}.new"
        fresh.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
        fresh.rename(self.folder / f"{name}.json")

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        print(format % args, file=sys.stderr, flush=True)


class Server(http.server.ThreadingHTTPServer):
    """TLS per connection, in its own thread: a client that hangs in its handshake holds up nobody."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(address, Handler)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(Handler.timeout)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        print(f"{client_address}: {sys.exc_info()[1]}", file=sys.stderr, flush=True)


def context(authority: Authority, *addresses: str) -> ssl.SSLContext:
    """Return what a server of the lab's city speaks: TLS 1.3, and it asks for a certificate of its own CA."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(*authority.server("control", *addresses))
    made.verify_mode = ssl.CERT_OPTIONAL
    made.load_verify_locations(cadata=authority.pem.decode("ascii"))
    return made


def main() -> None:
    """Serve at one or more addresses, the first of them named by the report's path, for ever."""
    parser = argparse.ArgumentParser(prog="edge.lab.control")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", type=Path, required=True)
    parser.add_argument("--at", action="append", required=True, metavar="ADDRESS:PORT")
    args = parser.parse_args()
    Handler.folder, Handler.secrets = args.folder, args.device
    places = [(address, int(port)) for address, _, port in (each.partition(":") for each in args.at)]
    made = context(Authority(args.folder), *(address for address, _ in places))
    servers = [Server(place, made) for place in places]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
