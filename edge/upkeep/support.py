"""What the maker needs to help: facts, findings, logs. No secret is in it, and none is read for it."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import platform
import re
import sys
import tarfile
from importlib import metadata
from pathlib import Path

from edge.upkeep import doctor
from netconf import durable, secrets, words
from netconf.kept import Kept

#: Of each log its end: what was long ago has been said since.
MAX_LOG_BYTES, MAX_LOGS = 1 << 19, 40
README = """What is in this bundle: findings (doctor), what each program says of itself (status), the confirmed
configuration without any password or key, versions, and the ends of the logs. It names recorders, cameras and viewers.
No password, key or certificate is in it.

本文件包含：诊断结果、各程序状态、已确认配置（不含口令与密钥）、版本信息和日志末尾。
其中有录像机、摄像机和观看者的名称；不含任何口令、密钥或证书。
"""
#: No program writes these into a log; should one ever, they do not leave the box.
_KEY = re.compile(rb"[A-Za-z0-9+/]{42,43}=|-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----|\$argon2[^\s\"]+", re.DOTALL)


def gather(run: Path, state: Path, hidden: Path, logs: Path) -> dict[str, bytes]:
    """Return the bundle's files by name; a part that cannot be had says why."""
    facts = doctor.look(run, state, hidden)
    found = doctor.examine(facts)
    files = {
        "README.txt": README.encode("utf-8"),
        "doctor.txt": "\n".join(words.report(found) or ["Everything is well."]).encode("utf-8"),
        "status.json": _json({"keeper": facts.keeper, **facts.said, "processes": facts.processes}),
        "versions.json": _json(_versions()),
        "configuration.json": _configuration(state),
    }
    try:
        ends = sorted(path for path in logs.glob("*.log*") if path.is_file())[:MAX_LOGS]
        files |= {f"logs/{path.name}": _end(path) for path in ends}
    except OSError as wrong:
        files["logs/none.txt"] = str(wrong).encode("utf-8")
    kept = _passwords(hidden)
    return {name: _without(data, kept) for name, data in files.items()}


def _configuration(state: Path) -> bytes:
    kept = Kept(state / "keeper")
    number = kept.read_journal()[0].confirmed[0]
    return (kept.read_document(number) if number else None) or b"none is confirmed\n"


def _versions() -> dict[str, str]:
    found = {each.metadata["Name"]: each.version for each in metadata.distributions() if each.metadata["Name"]}
    return {"python": sys.version, "machine": platform.machine(), "kernel": platform.release(), **found}


def _json(facts: object) -> bytes:
    return json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True).encode("utf-8")


def _end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
            return file.read(MAX_LOG_BYTES)
    except OSError as wrong:
        return str(wrong).encode("utf-8")


def _passwords(hidden: Path) -> tuple[bytes, ...]:
    """The very passwords and the claim, so that none is given away that found its way into a log."""
    found = []
    with contextlib.suppress(OSError, secrets.SecretDamaged):
        claimed = secrets.read_claim(hidden / "enrol")
        found += [claimed.claim.partition(".")[2].encode("ascii")] if claimed is not None else []
    for path in hidden.glob("*/*.password"):
        try:
            found.append(durable.read(path, 1024).strip())
        except (OSError, durable.TooLong):
            continue
    return tuple(sorted((each for each in found if len(each) >= 4), key=len, reverse=True))


def _without(data: bytes, kept: tuple[bytes, ...]) -> bytes:
    for secret in kept:
        data = data.replace(secret, b"(hidden)")
    return _KEY.sub(b"(hidden)", data)


def write(path: Path, files: dict[str, bytes]) -> None:
    """Write the bundle, for its owner alone.

    Raises:
        OSError: nothing is written.
    """
    held = io.BytesIO()
    with gzip.GzipFile(fileobj=held, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"snowgate-support/{name}")
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    durable.write(path, held.getvalue())
