"""WireGuard devices through the ``wg`` tool, which drives the kernel and wireguard-go alike.

The whole text goes in at once through a descriptor; a key is never an argument and never printed. The text is
rendered by wireguard-tools (PyPI), which must not talk to devices: it writes preshared keys in the wrong form.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from wireguard_tools import WireguardConfig, WireguardKey, WireguardPeer

from netconf.model import Tunnel

_TIMEOUT_SECONDS = 10.0
MAX_DUMP_BYTES = 1 << 20


class WireGuardRefused(Exception):
    """``wg`` did not do what was asked; the message is its own."""


@dataclass(frozen=True, slots=True)
class TunnelFacts:
    """What a device says of itself. Times are seconds since the epoch, 0 for never."""

    public_key: str
    peer_key: str
    endpoint: str
    allowed: tuple[str, ...]
    last_handshake: int
    received: int
    sent: int


def text(tunnel: Tunnel, private_key: str) -> str:
    """Return the configuration of one tunnel, for ``wg syncconf``. Holds the private key."""
    peer = WireguardPeer(
        public_key=WireguardKey(tunnel.public_key),
        endpoint_host=tunnel.endpoint_host,
        endpoint_port=tunnel.endpoint_port,
        persistent_keepalive=tunnel.keepalive_seconds or None,
        allowed_ips=list(tunnel.allowed),
    )
    config = WireguardConfig(private_key=WireguardKey(private_key), listen_port=tunnel.listen_port or None)
    config.add_peer(peer)
    # wg knows three of the settings of an [Interface]; the rest is wg-quick's.
    return str(config.to_wgconfig(wgquick_format=False))


def syncconf(device: str, configuration: str) -> None:
    """Give a device its whole configuration without dropping sessions that stay.

    Raises:
        WireGuardRefused: nothing was changed.
    """
    read, write = os.pipe()
    try:
        os.write(write, configuration.encode("ascii"))
        os.close(write)
        _wg("syncconf", device, f"/dev/fd/{read}", descriptor=read)
    finally:
        os.close(read)


def facts(device: str) -> TunnelFacts | None:
    """Return what a device with one peer says of itself, None when it has none.

    Raises:
        WireGuardRefused: there is no such device.
    """
    lines = _wg("show", device, "dump")[:MAX_DUMP_BYTES].splitlines()
    if len(lines) < 2:
        return None
    own, peer = lines[0].split("\t"), lines[1].split("\t")
    allowed = tuple(sorted(part.strip() for part in peer[3].split(",") if part.strip() != "(none)"))
    return TunnelFacts(own[1], peer[0], peer[2], allowed, int(peer[4]), int(peer[5]), int(peer[6]))


def _wg(*words: str, descriptor: int | None = None) -> str:
    passed = () if descriptor is None else (descriptor,)
    try:
        done = subprocess.run(
            ["wg", *words], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, pass_fds=passed, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise WireGuardRefused(f"wg {words[0]}: {type(wrong).__name__}") from None
    if done.returncode:
        raise WireGuardRefused(f"wg {words[0]} {words[1]}: {done.stderr.strip()[:200]}")
    return done.stdout
