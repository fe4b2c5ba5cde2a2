"""The secrets of a revision: unsealed with the device's key when it is applied, and with it in force or out of it.

A revision's document carries them sealed, so that going back to the revision before is going back to its secrets, after a
power cut as well. What stood in the files before the first sealed revision (an installer's own passwords) is kept once
and comes back with the revisions that have none.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from netconf import durable, secrets
from netconf.envelope import SEALED_FOR_BOX
from netconf.model import Site
from netconf.sealed import MAX_SEALED_BYTES, SealBroken, unseal

#: Each piece is opened with an exchange of keys of its own; a tunnel has one, and all platforms of a site together.
MAX_PIECES, MAX_SECRETS = 16, 64
MAX_PASSWORD_CHARACTERS = 64
_BEFORE = "before-sealed.json"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Tunnel -> preshared key, platform -> password of its registration."""

    psk: dict[str, str]
    sip: dict[str, str]

    def __repr__(self) -> str:
        return f"Unsealed(psk={sorted(self.psk)}, sip={sorted(self.sip)})"


def read(sealed: str, device: ec.EllipticCurvePrivateKey, site: str) -> Unsealed:
    """Return what was sealed to this device for this site, of all pieces together (docs/city.md).

    Raises:
        SealBroken: one was not, or is nothing of this form; or two say different things of one name.
    """
    pieces = sealed.split()
    if not 0 < len(pieces) <= MAX_PIECES or len(sealed) > MAX_SEALED_BYTES:
        raise SealBroken
    psk, sip = dict[str, str](), dict[str, str]()
    for piece in pieces:
        found = _piece(unseal(piece, device, SEALED_FOR_BOX + site))
        for whole, part in ((psk, found.psk), (sip, found.sip)):
            if any(whole.get(name, secret) != secret for name, secret in part.items()):
                raise SealBroken
            whole |= part
    return Unsealed(psk, sip)


def _piece(data: bytes) -> Unsealed:
    try:
        said = json.loads(data)
        psk, sip = said.get("psk", {}), said.get("sip", {})
        if said.keys() - {"psk", "sip"} or len(psk) + len(sip) > MAX_SECRETS:
            raise ValueError("other parts")
        for name, text in (*psk.items(), *sip.items()):
            _name(name)
            if not isinstance(text, str):
                raise ValueError("no text")
        if any(len(base64.b64decode(text, validate=True)) != 32 for text in psk.values()):
            raise ValueError("no preshared key")
        if not all(1 <= len(text) <= MAX_PASSWORD_CHARACTERS and text.isprintable() for text in sip.values()):
            raise ValueError("no password")
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise SealBroken from None
    return Unsealed(psk, sip)


def _name(name: Any) -> None:
    if not isinstance(name, str) or not name.isascii() or not name.replace("-", "").isalnum() or len(name) > 20:
        raise ValueError("no name")


class Files:
    """Where they stand in force: preshared keys beside the tunnels' own, passwords where the city side reads them."""

    def __init__(self, keepers: Path, citysides: Path) -> None:
        self._keepers = keepers
        self._citysides = citysides

    def put(self, site: Site, wanted: Unsealed | None) -> bool:
        """Have the files say what a revision says, None for one without sealed secrets; return whether one changed.

        Raises:
            SecretDamaged, OSError: some may have been written; the same or another revision is put again.
        """
        if wanted is None:
            return self._put_back()
        before = self._remember(site, wanted)
        changed = False
        for tunnel in site.tunnel:
            changed |= self._psk(tunnel.name, wanted.psk.get(tunnel.name))
        for name, password in before["sip"].items():
            changed |= self._password(name, wanted.sip.get(name, password))
        return changed

    def _remember(self, site: Site, wanted: Unsealed) -> dict[str, dict[str, str | None]]:
        """Keep what stands there, once, and of a name that comes later when it comes."""
        before = self._before() or {"psk": {}, "sip": {}}
        found: dict[str, dict[str, str | None]] = {
            "psk": {name: self._shared(name) for name in {t.name for t in site.tunnel}},
            "sip": {name: self._password_in(f"platform-{name}") for name in wanted.sip},
        }
        kept = {kind: found[kind] | before[kind] for kind in found}
        if kept != self._before():
            durable.write(self._keepers / _BEFORE, json.dumps(kept).encode("utf-8"), 0o600)
        return kept

    def _put_back(self) -> bool:
        before = self._before()
        if before is None:
            return False
        changed = False
        for name, psk in before["psk"].items():
            changed |= self._psk(name, psk)
        for name, password in before["sip"].items():
            changed |= self._password(name, password)
        (self._keepers / _BEFORE).unlink(missing_ok=True)
        return changed

    def _before(self) -> dict[str, dict[str, str | None]] | None:
        try:
            found: dict[str, dict[str, str | None]] = json.loads(durable.read(self._keepers / _BEFORE, 1 << 16))
            return found if found.keys() == {"psk", "sip"} else None
        except (OSError, ValueError, AttributeError):
            return None

    def _psk(self, tunnel: str, psk: str | None) -> bool:
        if self._shared(tunnel) == psk:
            return False
        if psk is None:
            (self._keepers / secrets.preshared_name(tunnel)).unlink(missing_ok=True)
        else:
            secrets.write_preshared_key(self._keepers, tunnel, psk)
        return True

    def _shared(self, tunnel: str) -> str | None:
        try:
            return secrets.read_preshared_key(self._keepers, tunnel) or None
        except secrets.SecretDamaged:
            return None  # it is written anew

    def _password(self, platform: str, password: str | None) -> bool:
        name = f"platform-{platform}"
        if self._password_in(name) == password:
            return False
        if password is None:
            (self._citysides / f"{name}.password").unlink(missing_ok=True)
        else:
            secrets.write_password(self._citysides, name, password)
        return True

    def _password_in(self, name: str) -> str | None:
        try:
            return secrets.read_password(self._citysides, name)
        except secrets.SecretDamaged:
            return None
