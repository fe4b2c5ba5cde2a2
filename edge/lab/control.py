"""The lab's fleet control: hears reports, hands out the layer that lies in its folder, answers the nonce of a change.

It stands for the city's control, which is not built yet: plain HTTP inside the tunnel, one box, no enrolment. What it
signs and what it checks is the real thing (``netconf.envelope``).
"""

from __future__ import annotations

import base64
import http.server
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from netconf import durable, envelope, secrets

MAX_REPORT_BYTES = 1 << 20


def city_key(folder: Path) -> Ed25519PrivateKey:
    """Return the lab city's signing key, made at the first call."""
    path = folder / "city.key"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(path, base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()))
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes()))


class Handler(http.server.BaseHTTPRequestHandler):
    """One report."""

    folder = Path()
    secrets = Path()
    timeout = 10

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if not 0 < size <= MAX_REPORT_BYTES:
            self.send_error(413)
            return
        try:
            text = self.rfile.read(size).decode("ascii")
            report = envelope.open_report(text, secrets.ensure_device_key(self.secrets).public_key())
        except (ValueError, envelope.EnvelopeRefused):
            self.send_error(403)
            return
        (self.folder / "report.new").write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
        (self.folder / "report.new").rename(self.folder / "report.json")
        body = json.dumps(self._answer(report)).encode("ascii")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, report: dict[str, Any]) -> dict[str, str]:
        if report.get("nonce"):
            facts = {"site": report["site"], "device": report["device"], "nonce": report["nonce"]}
            return {"answer": envelope.sign("answer", facts, city_key(self.folder))}
        told = {}
        for name in ("layer.json", "rotate"):
            path = self.folder / name
            if path.exists():
                told[name.removesuffix(".json")] = path.read_text(encoding="ascii")
        return told

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        print(format % args, file=sys.stderr, flush=True)


if __name__ == "__main__":
    Handler.folder, Handler.secrets = Path(sys.argv[3]), Path(sys.argv[4])
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
