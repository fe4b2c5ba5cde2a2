"""What makes this box this box, gathered, and laid out again on the same board or another.

On another board the settings come back and nothing that the city knows this box by: the keys stay where they are, so
that never two boxes have one identity, and the city must enrol the new one. Receipts are in no backup: they are a chain.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from edge.upkeep.sealed import SealRefused
from edge.upkeep.swap import Places, Put
from netconf import durable
from netconf.kept import Kept
from netconf.proposal import Layers, layers_of, site_of
from netconf.revision import Journal

MAX_FILE_BYTES = 1 << 20
MAX_FILES = 512
#: Which files, with which rights; and whether they are the city's mark on this very box.
_KINDS = (
    (re.compile(r"secrets/keeper/[a-z0-9][a-z0-9-]{0,40}\.(key|next)"), 0o600, True),
    (re.compile(r"secrets/keeper/psk-[a-z0-9-]{1,40}"), 0o600, True),
    (re.compile(r"secrets/keeper/city\.pub"), 0o644, True),
    (re.compile(r"secrets/keeper/(enrolment|before-sealed)\.json"), 0o600, True),
    (re.compile(r"state/enrol/(ca\.pem|certificate\.pem|authority\.json)"), 0o640, True),
    (re.compile(r"state/agent/(certificate\.pem|authority\.json)"), 0o640, True),
    (re.compile(r"secrets/device/device\.key"), 0o640, True),
    (re.compile(r"secrets/cityside/[a-z0-9][a-z0-9-]{0,40}\.password"), 0o640, True),
    (re.compile(r"state/web/page\.key"), 0o600, True),
    (re.compile(r"secrets/siteside/[a-z0-9][a-z0-9-]{0,40}\.password"), 0o640, False),
    (re.compile(r"state/web/password\.json"), 0o600, False),
    (re.compile(r"state/cityside/issued-ids\.json"), 0o600, False),
)


class NothingConfirmed(ValueError):
    """There is no confirmed configuration to keep."""


def gather(places: Places, board: str) -> bytes:
    """Return the content of a backup.

    Raises:
        NothingConfirmed: see there.
        OSError: a file cannot be read.
    """
    kept = Kept(places.state / "keeper")
    journal, _ = kept.read_journal()
    document = kept.read_document(journal.confirmed[0])
    if document is None or hashlib.sha256(document).hexdigest() != journal.confirmed[1]:
        raise NothingConfirmed
    files = {name: durable.read(places.path(name), MAX_FILE_BYTES) for name in _names(places)}
    return json.dumps({
        "board": board,
        "document": document.decode("utf-8"),
        "highest": list(journal.highest),
        "files": {name: base64.b64encode(data).decode("ascii") for name, data in files.items()},
    }, ensure_ascii=False).encode("utf-8")  # fmt: skip


def _names(places: Places) -> Iterator[str]:
    for first, root in (("state", places.state), ("secrets", places.secrets)):
        for path in sorted(root.rglob("*")):
            name = f"{first}/{path.relative_to(root).as_posix()}"
            if _kind(name) is not None and path.is_file():
                yield name


def _kind(name: str) -> tuple[int, bool] | None:
    return next(((mode, own) for pattern, mode, own in _KINDS if pattern.fullmatch(name)), None)


def layout(content: bytes, places: Places, board: str) -> tuple[dict[str, Put | None], bool]:
    """Return the files of a backup as they are to be here, and whether this is its own board.

    Raises:
        SealRefused: ``backup_content``: it is nothing that ``gather`` makes.
    """
    said = _said(content)
    own_board = said["board"] == board
    files: dict[str, Put | None] = {}
    for name, data in said["files"].items():
        kind = _kind(name)
        if kind is None:
            raise SealRefused("backup_content")
        if own_board or not kind[1]:
            files[name] = Put(data, kind[0])
    layers = layers_of(said["document"].encode("utf-8"))
    if not own_board:
        # The city's values stay, so that the page has its address; its signature was for another box.
        layers = Layers(layers.owner, layers.city, (0, 0))  # and its secrets are sealed to another key
    # A layer is signed for one device key: another board's count begins where that board's own has come to.
    highest = tuple(said["highest"]) if own_board else (0, 0)
    return files | _revision(layers, highest, places), own_board


def _revision(layers: Layers, highest: tuple[int, int], places: Places) -> dict[str, Put | None]:
    """The keeper's journal with this one document confirmed; what it counts never goes back."""
    now, _ = Kept(places.state / "keeper").read_journal()
    document = layers.document()
    number = now.number + 1
    confirmed = (number, hashlib.sha256(document).hexdigest())
    journal = replace(Journal(), serial=now.serial + 1, number=number, confirmed=confirmed,
                      highest=max(now.highest, highest, layers.mark)).encode()  # fmt: skip
    return {
        f"state/keeper/revisions/{number}.json": Put(document, 0o600),
        "state/keeper/journal.json": Put(journal, 0o600),
        "state/keeper/journal.copy.json": Put(journal, 0o600),
    }


def _said(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
        epoch, revision = (int(each) for each in said["highest"])
        files = {str(name): base64.b64decode(data, validate=True) for name, data in said["files"].items()}
        found = {
            "board": str(said["board"]),
            "document": str(said["document"]),
            "highest": (epoch, revision),
            "files": files,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SealRefused("backup_content") from None
    site, _ = site_of(found["document"].encode("utf-8"))  # type: ignore[attr-defined]
    if site is None or len(files) > MAX_FILES or any(len(data) > MAX_FILE_BYTES for data in files.values()):
        raise SealRefused("backup_content")
    return found


def factory_files(places: Places) -> dict[str, Put | None]:
    """Return what a factory reset takes away, and the journal that stays: empty, but with the city's highest mark.

    Receipts, how far they have come, and the last time seen stay: they are not the owner's to forget.
    """
    now, _ = Kept(places.state / "keeper").read_journal()
    stays = ("state/receipts/", "state/keeper/receipt-head.json", "state/keeper/clock-floor", "state/upkeep-order.json")
    files: dict[str, Put | None] = {}
    for first, root in (("state", places.state), ("secrets", places.secrets)):
        for path in sorted(root.rglob("*")):
            name = f"{first}/{path.relative_to(root).as_posix()}"
            if path.is_file() and not name.startswith(stays):
                files[name] = None
    journal = replace(Journal(), serial=now.serial + 1, number=now.number, highest=now.highest).encode()
    for name in ("journal.json", "journal.copy.json"):
        files[f"state/keeper/{name}"] = Put(journal, 0o600)
    return files
