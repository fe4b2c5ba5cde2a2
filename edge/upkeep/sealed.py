"""A sealed file: one line that says how, then what only the passphrase opens (argon2id, AES-256-GCM)."""

from __future__ import annotations

import base64
import json
import os

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "snowgate backup 1"
LEAST_CHARACTERS, MOST_CHARACTERS = 12, 256
MAX_FILE_BYTES = 1 << 24
MAX_HEAD_BYTES = 1024
#: RFC 9106's second choice: 64 MiB, three passes; a box has the memory, whoever guesses needs it for each guess.
_TIME, _MEMORY_KIB, _LANES = 3, 64 * 1024, 4
#: What a file may ask of us before its passphrase is known to be right.
_MOST_TIME, _MOST_MEMORY_KIB, _MOST_LANES = 8, 256 * 1024, 8
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32


class SealRefused(ValueError):
    """The file cannot be opened; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def seal(content: bytes, passphrase: str) -> bytes:
    """Return ``content`` sealed.

    Raises:
        SealRefused: ``passphrase_short``.
    """
    if not LEAST_CHARACTERS <= len(passphrase) <= MOST_CHARACTERS:
        raise SealRefused("passphrase_short")
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    head = json.dumps({"format": FORMAT, "argon2id": [_TIME, _MEMORY_KIB, _LANES], "salt": _text(salt),
                       "nonce": _text(nonce)}).encode("ascii") + b"\n"  # fmt: skip
    key = _key(passphrase, salt, _TIME, _MEMORY_KIB, _LANES)
    return head + AESGCM(key).encrypt(nonce, content, head)


def open_sealed(data: bytes, passphrase: str) -> bytes:
    """Return what was sealed.

    Raises:
        SealRefused: ``backup_form`` (it is no such file), ``backup_version``, or ``passphrase_wrong``, which a damaged
            or truncated file looks like, too.
    """
    head, line, sealed = data.partition(b"\n")
    if len(data) > MAX_FILE_BYTES or len(head) > MAX_HEAD_BYTES or not line:
        raise SealRefused("backup_form")
    try:
        told = json.loads(head)
        salt, nonce = (base64.b64decode(told[name], validate=True) for name in ("salt", "nonce"))
        time, memory, lanes = (int(each) for each in told["argon2id"])
        version = str(told["format"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SealRefused("backup_form") from None
    if version != FORMAT:
        raise SealRefused("backup_version" if version.startswith("snowgate backup ") else "backup_form")
    bounded = 1 <= time <= _MOST_TIME and 1 <= lanes <= _MOST_LANES and 8 * lanes <= memory <= _MOST_MEMORY_KIB
    if not bounded or len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
        raise SealRefused("backup_form")
    try:
        return AESGCM(_key(passphrase[:MOST_CHARACTERS], salt, time, memory, lanes)).decrypt(nonce, sealed, head + line)
    except InvalidTag:
        raise SealRefused("passphrase_wrong") from None


def _key(passphrase: str, salt: bytes, time: int, memory_kib: int, lanes: int) -> bytes:
    return hash_secret_raw(
        passphrase.encode("utf-8", "surrogateescape"), salt, time, memory_kib, lanes, _KEY_BYTES, Type.ID
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
