"""A concentrator's answer to probes: sixteen octets come back as they came, and nothing else does."""

from __future__ import annotations

import socket
import sys

from netconf.model import PROBE_PORT

PROBE_BYTES = 16


def serve(host: str) -> None:
    """Answer for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((host, PROBE_PORT))
        while True:
            data, source = opened.recvfrom(PROBE_BYTES + 1)
            if len(data) == PROBE_BYTES:
                try:
                    opened.sendto(data, source)
                except OSError:
                    continue  # the tunnel is away


if __name__ == "__main__":
    serve(sys.argv[1])
