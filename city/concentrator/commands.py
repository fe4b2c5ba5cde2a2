"""What is done on a concentrator's own host: make its keys, and run it. Needs no database."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from city.concentrator import certificate, config, process, slots
from city.concentrator.config import Config
from netconf import secrets, words


def read(path: Path) -> Config | None:
    """Return the configuration at ``path``; of one that is wrong say everything that is, and return None."""
    found, wrong = config.read(path)
    for line in words.report(wrong):
        print(line, file=sys.stderr)
    return found


def run_word(args: argparse.Namespace) -> int:
    """``snowgate city concentrator run``."""
    return run(args.config)


def prepare_word(args: argparse.Namespace) -> int:
    """``snowgate city concentrator prepare``."""
    return prepare(args.config)


def run(path: Path) -> int:
    """Run the concentrator of a file; the result is the process's exit status."""
    found = read(path)
    return 1 if found is None else process.run(found)


def prepare(path: Path) -> int:
    """Make the keys of a concentrator that has none, and print what the registry is told of it (JSON)."""
    found = read(path)
    if found is None:
        return 1
    try:
        print(json.dumps(prepared(found), indent=2))
    except secrets.SecretDamaged as wrong:
        print(f"{words.reason('hub_key_damaged')} ({wrong})", file=sys.stderr)
        return 1
    except OSError as wrong:
        print(f"{words.reason('hub_disk')} ({wrong.filename}: {wrong.strerror})", file=sys.stderr)
        return 1
    return 0


def prepared(found: Config) -> dict[str, Any]:
    """Return a concentrator's public half: ``id``, ``public_key``, ``seal_key``, ``csr``, ``port``, ``network``, ``probe``.

    Raises:
        netconf.secrets.SecretDamaged: a key file holds no key.
        OSError: one can be neither read nor made.
    """
    on = slots.slots(found)
    if not on:
        found.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        slots.make(found)
        on = slots.slots(found)
    key = secrets.ensure_device_key(found.folder).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "id": found.id,
        "public_key": on[0].public_key,
        "port": on[0].port,
        "seal_key": base64.b64encode(der).decode("ascii"),
        "csr": certificate.request(found.folder, found.id),
        "network": str(found.network),
        "probe": str(found.address),
        "allowed": [str(service.network) for service in found.city],
    }
