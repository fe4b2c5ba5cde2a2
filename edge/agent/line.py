"""The agent's connection to the city's control: by the tunnel that the city side uses, else by the next one."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edge.io import status
from edge.io.https import Server
from edge.io.road import Road, roads
from netconf.model import Site


class Line:
    """Dials; a tunnel by which nothing is reached is passed over the next time."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._failed = 0

    def dial(self, site: Site, server: Server, timeout: float, but: Collection[str] = ()) -> socket.socket:
        """Return a connection to ``server``; ``but``: tunnels that are taken only when there is no other.

        Raises:
            OSError: it is not reached by this tunnel; the next call takes the next one.
        """
        ways = self._in_order(site, but)
        road = ways[self._failed % len(ways)]
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            opened.settimeout(timeout)
            road.take(opened)
            opened.connect((server.address, server.port))
        except OSError:
            opened.close()
            self._failed += 1
            raise
        self._failed = 0 if self._failed % len(ways) == 0 else self._failed
        return opened

    def _in_order(self, site: Site, but: Collection[str]) -> list[Road]:
        """The one that is used comes first; what the city side says of it is only believed of a tunnel that is there."""
        known = roads(site)
        said: Any = status.read(self._run, "cityside")
        told = said.get("tunnel") if isinstance(said, dict) else None
        used = told.get("used") if isinstance(told, dict) else None
        return sorted(known.values(), key=lambda road: (road.name in but, road.name != used))
