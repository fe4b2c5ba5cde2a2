"""The ids that the platforms know our channels by: a lasting one-to-one map onto (recorder, channel).

Two recorders may use one channel id, and a channel that comes back must come back under its old id: a renumbering
breaks a platform's trees and records. So the map is written before an id is used, and ids are never given twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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
        self._whole = True
        if path.exists():
            self._whole = self._read()
        self._channels = {issued: key for key, issued in self._ids.items()}

    def _read(self) -> bool:
        try:
            raw = json.loads(durable.read(self._path, MAX_IDS_BYTES))
            self._ids = {(str(row["recorder"]), str(row["channel"])): _id(row["issued"]) for row in raw}
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return False
        return True

    def issue(self, channels: Iterable[tuple[str, str]]) -> bool:
        """Give an id to each (recorder, channel) that has none, and write all down.

        False when the map cannot be read or written: then they have none, and are not shown, for an id that is forgotten
        would be given to another channel.
        """
        if not self._whole:
            return False
        serial = max((int(issued[14:]) for issued in self._channels), default=0)
        fresh: dict[tuple[str, str], str] = {}
        for key in channels:
            if key not in self._ids and key not in fresh:
                serial += 1
                wanted = key[1][10:13] if key[1][10:13] in _CAMERA_TYPES else "131"
                fresh[key] = issue(self._site_id, wanted, serial)
        if not fresh:
            return True
        rows = [{"recorder": r, "channel": c, "issued": i} for (r, c), i in (self._ids | fresh).items()]
        try:
            durable.write(self._path, json.dumps(rows, indent=1).encode("ascii"))
        except OSError:
            return False
        self._ids |= fresh
        self._channels |= {issued: key for key, issued in fresh.items()}
        return True

    def of(self, recorder: str, channel: str) -> str | None:
        """Return the id of a channel; None when it was given none."""
        return self._ids.get((recorder, channel))

    def channel(self, issued: str) -> tuple[str, str] | None:
        """Return the (recorder, channel) behind an issued id."""
        return self._channels.get(issued)


def _id(value: object) -> str:
    if not isinstance(value, str) or len(value) != 20 or not (value.isascii() and value.isdigit()):
        raise ValueError(value)
    return value
