"""Exchanging a tunnel's own WireGuard key: the next one is made on the box and taken up when the city says so.

Files beside ``TUNNEL.key``: ``TUNNEL.next`` holds the next private key from the city's question on. A site's ``own_key`` is the public
key that the concentrator expects; the tunnel speaks with whichever of the two has it, so a layer that is undone takes
the old one back by itself. Once such a layer is confirmed, the next key is renamed into the place of the old one.
Whenever the power goes, a key that was told to the city is there, whole, and is chosen by the layer that holds.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netconf import durable, secrets
from netconf.finding import Finding, finding
from netconf.model import Site


def begin_rotation(folder: Path, tunnel: str, refused: str = "") -> str:
    """Make the tunnel's next key if there is none, and return its public key; only then may the city be told.

    ``refused``: the public key that the city was told and did not take (an exchange with it was undone before); that one
    is replaced.

    Raises:
        SecretDamaged: the file holds no key.
        OSError: it can be neither read nor made.
    """
    secrets.ensure_wireguard_key(folder, tunnel)
    path = folder / secrets.next_name(tunnel)
    if not path.exists() or (refused and secrets.public_key(secrets.read_key(path)) == refused):
        durable.write(path, base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()) + b"\n")
    return secrets.public_key(secrets.read_key(path))


def finish_rotation(folder: Path, tunnel: str) -> None:
    """Put the next key in the place of the old one, which is gone then; without a next one nothing is done.

    Raises:
        OSError: it is as it was, or done.
    """
    try:
        os.replace(folder / secrets.next_name(tunnel), folder / f"{tunnel}.key")
    except FileNotFoundError:
        return
    durable.sync_folder(folder)


def private_key(folder: Path, tunnel: str, expected: str | None) -> str:
    """Return the private key (base64) that a tunnel speaks with: the one whose public key is ``expected``, else its own.

    One that expects a key that is not here is spoken to all the same: whether that is right was asked when it was
    proposed (``unknown``), and a box that stays silent helps nobody.

    Raises:
        SecretDamaged, OSError: as for ``ensure_wireguard_key``.
    """
    own = secrets.ensure_wireguard_key(folder, tunnel)
    path = folder / secrets.next_name(tunnel)
    if expected not in (None, own) and path.exists():
        following = secrets.read_key(path)
        if secrets.public_key(following) == expected:
            return following
    return secrets.read_wireguard_key(folder, tunnel)


def unknown(folder: Path, site: Site) -> Iterator[Finding]:
    """Yield the tunnels whose concentrator expects a key that the box does not have."""
    for at, tunnel in enumerate(site.tunnel):
        try:
            used = secrets.public_key(private_key(folder, tunnel.name, tunnel.own_key))
        except (secrets.SecretDamaged, OSError):
            continue  # the applying says so
        if tunnel.own_key not in (None, used):
            yield finding("tunnel_own_key_unknown", f"/tunnel/{at}/own_key", tunnel=tunnel.name)


def settle(folder: Path, site: Site) -> None:
    """Finish what a confirmed site has taken up; called again and again, it does each once.

    Raises:
        OSError: as for ``finish_rotation``.
    """
    for tunnel in site.tunnel:
        path = folder / secrets.next_name(tunnel.name)
        if tunnel.own_key is not None and path.exists():
            try:
                taken = secrets.public_key(secrets.read_key(path)) == tunnel.own_key
            except secrets.SecretDamaged:
                continue
            if taken:
                finish_rotation(folder, tunnel.name)
