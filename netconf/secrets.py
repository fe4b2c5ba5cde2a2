"""Passwords and keys: files of their own, never in the site file, a log or an argument.

Each program that needs any has a folder of its own below the secrets' folder, and who may enter it is said by that
folder's rights: a password's file lets its folder's group read (0640), a WireGuard key nobody but its owner (0600).
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netconf import durable, enrolment

MAX_SECRET_BYTES = 256
MAX_KEY_BYTES = 4096
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


class SecretDamaged(ValueError):
    """A secret's file holds something else; the message names the file, never what it holds."""


def read_password(folder: Path, name: str) -> str | None:
    """Return the password in ``<folder>/<name>.password`` without its line end, or None when there is no such file.

    Raises:
        SecretDamaged: it is no text, or too long.
    """
    try:
        raw = durable.read(folder / f"{_checked(name)}.password", MAX_SECRET_BYTES)
    except FileNotFoundError:
        return None
    except durable.TooLong:
        raise SecretDamaged(f"{name}.password") from None
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretDamaged(f"{name}.password") from None


def write_password(folder: Path, name: str, password: str) -> None:
    """Keep a password."""
    _ensure(folder)
    durable.write(folder / f"{_checked(name)}.password", password.encode("utf-8") + b"\n", 0o640)


def ensure_wireguard_key(folder: Path, tunnel: str) -> str:
    """Make the tunnel's private key if there is none, and return its public key (base64).

    A damaged key is not replaced by itself: the city knows the box by it.

    Raises:
        SecretDamaged: the file holds no key.
        OSError: it can be neither read nor made.
    """
    _ensure(folder)
    path = folder / f"{_checked(tunnel)}.key"
    if not path.exists():
        made = X25519PrivateKey.generate().private_bytes_raw()
        durable.write(path, base64.b64encode(made) + b"\n")
    return public_key(read_wireguard_key(folder, tunnel))


def read_wireguard_key(folder: Path, tunnel: str) -> str:
    """Return the tunnel's private key (base64). Keep it out of every repr, log and argument.

    Raises:
        SecretDamaged: the file holds no key.
        OSError: it cannot be read.
    """
    return read_key(folder / f"{_checked(tunnel)}.key")


def read_key(path: Path) -> str:
    """Return the private WireGuard key in a file (base64).

    Raises:
        SecretDamaged: it holds none.
        OSError: it cannot be read.
    """
    try:
        private = durable.read(path, MAX_SECRET_BYTES).decode("ascii").strip()
        public_key(private)
    except ValueError:
        raise SecretDamaged(path.name) from None
    return private


def next_name(tunnel: str) -> str:
    """Return the name of the file with a tunnel's next key (``netconf.rotation``)."""
    return f"{_checked(tunnel)}.next"


def preshared_name(tunnel: str) -> str:
    """Return the name of the file with a tunnel's preshared key."""
    return f"psk-{_checked(tunnel)}"


def read_preshared_key(folder: Path, tunnel: str) -> str:
    """Return the key that a tunnel shares with its concentrator (base64), "" when there is none. As secret as a private key.

    Raises:
        SecretDamaged: the file holds something else than 32 octets.
        OSError: it cannot be read.
    """
    path = folder / preshared_name(tunnel)
    try:
        text = durable.read(path, MAX_SECRET_BYTES).decode("ascii").strip()
        raw = base64.b64decode(text, validate=True)
    except FileNotFoundError:
        return ""
    except ValueError:
        raise SecretDamaged(path.name) from None
    if len(raw) != 32 or base64.b64encode(raw).decode("ascii") != text:
        raise SecretDamaged(path.name)
    return text


def write_preshared_key(folder: Path, tunnel: str, key: str) -> None:
    """Share ``key`` (base64) with a tunnel's concentrator from now on.

    Raises:
        ValueError: it is none of 32 octets.
        OSError: nothing was changed.
    """
    if len(base64.b64decode(key, validate=True)) != 32:
        raise ValueError("preshared key")
    _ensure(folder)
    durable.write(folder / preshared_name(tunnel), key.encode("ascii") + b"\n")


def ensure_device_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Make the box's own key (P-256) if there is none, and return it. It never leaves the box.

    Raises:
        SecretDamaged: the file holds no such key; it is not replaced: the city knows the box by it.
        OSError: it can be neither read nor made.
    """
    _ensure(folder)
    path = folder / "device.key"
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        durable.write(path, pem, 0o640)
    try:
        key = serialization.load_pem_private_key(durable.read(path, MAX_KEY_BYTES), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SecretDamaged(path.name) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SecretDamaged(path.name)
    return key


def key_hash(key: ec.EllipticCurvePublicKey) -> str:
    """Return what the city calls a device by: the SHA-256 of its public key (DER), hexadecimal."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()


def read_city_key(folder: Path) -> Ed25519PublicKey | None:
    """Return the key that the city signs this box's layer with, or None while the box knows no city.

    Raises:
        SecretDamaged: ``<folder>/city.pub`` holds something else than 32 octets in base64.
    """
    try:
        raw = durable.read(folder / "city.pub", MAX_SECRET_BYTES)
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(raw.strip(), validate=True))
    except FileNotFoundError:
        return None
    except ValueError:
        raise SecretDamaged("city.pub") from None


def write_city_key(folder: Path, key: Ed25519PublicKey) -> None:
    """Know a city by its key from now on."""
    _ensure(folder)
    durable.write(folder / "city.pub", base64.b64encode(key.public_bytes_raw()) + b"\n", 0o644)


def read_door(folder: Path) -> enrolment.Door | None:
    """Return where the city enrols this box, or None while no bundle was given.

    Raises:
        SecretDamaged: the file holds something else.
        OSError: it cannot be read.
    """
    try:
        return enrolment.read_door(durable.read(folder / "enrolment.json", MAX_KEY_BYTES))
    except FileNotFoundError:
        return None
    except ValueError:
        raise SecretDamaged("enrolment.json") from None


def read_claim(folder: Path) -> enrolment.Claimed | None:
    """Return the claim, or None when there is none.

    Raises:
        SecretDamaged: the file holds something else.
        OSError: it cannot be read.
    """
    try:
        return enrolment.read_claim(durable.read(folder / "claim.json", MAX_KEY_BYTES))
    except FileNotFoundError:
        return None
    except ValueError:
        raise SecretDamaged("claim.json") from None


def keep_bundle(keepers: Path, enrols: Path, bundle: enrolment.Bundle, fingerprint: dict[str, str]) -> None:
    """Keep a bundle: the claim for enrol alone, then the city's key and its door for the keeper, in this order.

    The door comes last: whatever was cut off before it, the box is as it was, and the bundle is given again.

    Raises:
        OSError: it is not kept whole.
    """
    for folder in (keepers, enrols):
        _ensure(folder)
    claimed = enrolment.Claimed(bundle.claim, fingerprint)
    durable.write(enrols / "claim.json", enrolment.write_claim(claimed), 0o640)
    write_city_key(keepers, Ed25519PublicKey.from_public_bytes(base64.b64decode(bundle.city_key)))
    durable.write(keepers / "enrolment.json", enrolment.write_door(bundle), 0o600)


def public_key(private: str) -> str:
    """Return the public key of a private one, both base64.

    Raises:
        ValueError: it is none.
    """
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private, validate=True))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a secret's name: {name!r}")
    return name


def _ensure(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
