"""WireGuard devices through the ``wg`` tool, which drives the kernel and wireguard-go alike.

The whole text goes in at once through a descriptor; a key is never an argument and never printed. The text is
rendered by wireguard-tools (PyPI), which must not talk to devices: it writes preshared keys in the wrong form.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from wireguard_tools import WireguardConfig, WireguardKey, WireguardPeer

from netconf.model import Tunnel
from netconf.state import Peer, WireguardState

_TIMEOUT_SECONDS = 10.0
MAX_DUMP_BYTES = 1 << 20
#: A pipe takes this much at once; 16 networks make about 1 KiB.
MAX_TEXT_BYTES = 1 << 15
#: All zeros is none (WireGuard 5.2). Said each time: ``wg syncconf`` lets stand what its text does not name.
NO_PRESHARED_KEY = "A" * 43 + "="
#: ``wg`` repeats the line that it does not take, and that line can be a key, whole or damaged.
_SECRET = re.compile(r"[`'\"].*[`'\"]|[A-Za-z0-9+/]{20,}=*", re.DOTALL)


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


def text(tunnel: Tunnel, private_key: str, endpoint: IPv4Address | None = None, preshared_key: str = "") -> str:
    """Return the configuration of one tunnel, for ``wg syncconf``. Holds the private key, and the preshared one.

    ``endpoint`` is what the tunnel's name was resolved to; ``wg`` never gets a name, for it would ask for it itself.
    """
    host = tunnel.endpoint_address or endpoint
    peer = WireguardPeer(
        public_key=WireguardKey(tunnel.public_key),
        preshared_key=WireguardKey(preshared_key) if preshared_key else None,
        endpoint_host=None if host is None else str(host),
        endpoint_port=None if host is None else tunnel.endpoint_port,
        persistent_keepalive=tunnel.keepalive_seconds or None,
        allowed_ips=list(tunnel.allowed),
    )
    config = WireguardConfig(private_key=WireguardKey(private_key), listen_port=tunnel.listen_port or None)
    config.add_peer(peer)
    # wg knows three of the settings of an [Interface]; the rest is wg-quick's.
    said = str(config.to_wgconfig(wgquick_format=False))
    known = f"PublicKey = {tunnel.public_key}\n"
    return said if preshared_key else said.replace(known, f"{known}PresharedKey = {NO_PRESHARED_KEY}\n")


def syncconf(device: str, configuration: str) -> None:
    """Give a device its whole configuration without dropping sessions that stay.

    Raises:
        WireGuardRefused: nothing was changed.
    """
    data = configuration.encode("ascii", "replace")
    if len(data) > MAX_TEXT_BYTES:
        raise WireGuardRefused(f"wg syncconf {device}: more than {MAX_TEXT_BYTES} bytes")
    with contextlib.ExitStack() as stack:
        read, write = os.pipe()
        stack.callback(os.close, read)
        with open(write, "wb") as pipe:
            pipe.write(data)
        _wg("syncconf", device, f"/dev/fd/{read}", descriptor=read)


def begin_anew(device: str, configuration: str) -> None:
    """Give a device its whole configuration, and let its peers prove themselves by a new handshake.

    Raises:
        WireGuardRefused: the device may be without peers.
    """
    for peer in observe(device).peers:
        _wg("set", device, "peer", peer.public_key, "remove")
    syncconf(device, configuration)


def observe(device: str) -> WireguardState:
    """Return what a device is.

    Raises:
        WireGuardRefused: there is no such device.
    """
    own, *peers = (line.split("\t") for line in _wg("show", device, "dump")[:MAX_DUMP_BYTES].splitlines())
    return WireguardState(device, own[1], frozenset(_peer(words) for words in peers), int(own[2]) or None)


def _peer(words: list[str]) -> Peer:
    """key, preshared key, endpoint, allowed, handshake, received, sent, keepalive (wg(8), ``show ... dump``)."""
    allowed = sorted((ip_network(part) for part in words[3].split(",") if part != "(none)"), key=str)
    shared = "" if words[1] == "(none)" else words[1]
    return Peer(words[0], tuple(allowed), 0 if words[7] == "off" else int(words[7]), shared)


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
        said = _SECRET.sub("(hidden)", done.stderr.strip())[:200]
        raise WireGuardRefused(f"wg {words[0]} {' '.join(words[1:2])}: {said}")
    return done.stdout
