"""Many files replaced as one: all or none, whatever the power does.

What is to be done is written durably into one file, the *order*; that is the moment it is decided. Then it is done,
step by step, each step harmless to repeat, and the order is taken away. Who finds an order does it again, whole.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netconf import durable

MAX_ORDER_BYTES = 1 << 24
MAX_FILES = 4096
ORDER = "upkeep-order.json"


class OrderDamaged(ValueError):
    """There is an order, and it is not whole: it was never decided, for it is written durably."""


@dataclass(frozen=True, slots=True)
class Put:
    """A file as it shall be."""

    data: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Places:
    """The two folders that last; a file's name begins with ``state/`` or ``secrets/``."""

    state: Path
    secrets: Path

    def path(self, name: str) -> Path:
        """Return where a named file is.

        Raises:
            OrderDamaged: the name leads elsewhere.
        """
        first, *rest = name.split("/")
        root = {"state": self.state, "secrets": self.secrets}.get(first)
        if root is None or not rest or any(part in ("", ".", "..") or "\0" in part for part in rest):
            raise OrderDamaged(name)
        return root.joinpath(*rest)


def swap(places: Places, files: Mapping[str, Put | None]) -> None:
    """Make each named file so, or be gone (None).

    Raises:
        OSError: nothing was changed, or, when the order is written already, the next ``finish`` completes it.
    """
    told = {
        name: None if put is None else {"mode": put.mode, "data": base64.b64encode(put.data).decode("ascii")}
        for name, put in files.items()
    }
    body = json.dumps(told, sort_keys=True)
    order = json.dumps({"sha256": hashlib.sha256(body.encode("ascii")).hexdigest(), "body": body}).encode("ascii")
    if len(order) > MAX_ORDER_BYTES or len(files) > MAX_FILES:
        raise OSError("too much for one order")
    durable.write(places.state / ORDER, order)
    finish(places)


def finish(places: Places) -> bool:
    """Do what an order says that a power cut left behind; return whether there was one.

    Raises:
        OrderDamaged: it is no whole order.
        OSError: it could not be done; it stays for the next time.
    """
    try:
        raw = durable.read(places.state / ORDER, MAX_ORDER_BYTES)
    except FileNotFoundError:
        return False
    for name, put in _read(raw).items():
        path = places.path(name)
        if put is None:
            path.unlink(missing_ok=True)
        else:
            _ensure(path.parent)
            durable.write(path, put.data, put.mode)
    for folder in {places.path(name).parent for name, put in _read(raw).items() if put is None}:
        _sync(folder)
    (places.state / ORDER).unlink()
    _sync(places.state)
    return True


def _read(raw: bytes) -> dict[str, Put | None]:
    try:
        outer = json.loads(raw)
        body = outer["body"]
        if hashlib.sha256(body.encode("ascii")).hexdigest() != outer["sha256"]:
            raise OrderDamaged("sha256")
        return {
            str(name): None if put is None else Put(base64.b64decode(put["data"], validate=True), int(put["mode"]))
            for name, put in json.loads(body).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as wrong:
        raise OrderDamaged(type(wrong).__name__) from None


def _ensure(folder: Path) -> None:
    """A folder within a program's folder is that program's."""
    if not folder.exists():
        folder.mkdir(mode=0o700)
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
