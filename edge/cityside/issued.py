"""The ids that the city knows our channels by: a lasting one-to-one map onto (recorder, channel).

Two recorders may use one channel id, and a channel that comes back must come back under its old id: a renumbering
breaks the city's trees and records. So the map is written before an id is used, and ids are never given twice.
"""

from __future__ import annotations

import json
from pathlib import Path

from edge.gb28181.ids import issue
from netconf import durable

MAX_IDS_BYTES = 1 << 20
#: Types that a channel may have (GB/T 28181-2016 table D.1): 131 camera, 132 IP camera.
_CAMERA_TYPES = ("131", "132")


class IssuedIds:
    """The map, kept in ``<state>/issued-ids.json``."""

    def __init__(self, path: Path, site_id: str) -> None:
        self._path = path
        self._site_id = site_id
        self._ids: dict[tuple[str, str], str] = {}
        if path.exists():
            raw = json.loads(durable.read(path, MAX_IDS_BYTES))
            self._ids = {(row["recorder"], row["channel"]): row["issued"] for row in raw}
        self._channels = {issued: key for key, issued in self._ids.items()}

    def of(self, recorder: str, channel: str) -> str:
        """Return the id of a channel, issuing one and writing it down if it has none."""
        known = self._ids.get((recorder, channel))
        if known is not None:
            return known
        wanted = channel[10:13] if channel[10:13] in _CAMERA_TYPES else "131"
        serial = 1 + max((int(issued[14:]) for issued in self._channels), default=0)
        fresh = issue(self._site_id, wanted, serial)
        self._ids[recorder, channel] = fresh
        self._channels[fresh] = (recorder, channel)
        rows = [{"recorder": r, "channel": c, "issued": i} for (r, c), i in self._ids.items()]
        durable.write(self._path, json.dumps(rows, indent=1).encode("ascii"))
        return fresh

    def channel(self, issued: str) -> tuple[str, str] | None:
        """Return the (recorder, channel) behind an issued id."""
        return self._channels.get(issued)
