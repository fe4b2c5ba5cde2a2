"""What this machine lacks for the street: each thing by name, with what to do about it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

from edge.lab import private
from netconf.finding import Finding, finding

_PROGRAMS = {
    "ip": "iproute2", "nft": "nftables", "wg": "wireguard-tools", "ffmpeg": "ffmpeg", "unshare": "util-linux",
    "nsenter": "util-linux",
}  # fmt: skip
_LIBRARIES = {"libnftables.so.1": "libnftables1", "libseccomp.so.2": "libseccomp2"}
_EGRESS = "add table netdev t; add chain netdev t c { type filter hook egress device lo priority 0; }"


def lacks() -> list[Finding]:
    """Return what is missing; empty when the street can be built."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found = [
        finding("lab_no_program", name=name, package=package)
        for name, package in _PROGRAMS.items()
        if shutil.which(name) is None
    ]
    for name, package in _LIBRARIES.items():
        try:
            ctypes.CDLL(name)
        except OSError:
            found.append(finding("lab_no_library", name=name, package=package))
    return found or _kernel()


def _kernel() -> list[Finding]:
    if not _inside("true"):
        return [finding("lab_no_namespaces")]
    found = []
    if not _inside("nft", _EGRESS):
        found.append(finding("lab_no_kernel", what="nftables with the netdev egress hook (5.16 or newer)"))
    if not _inside("ip", "link", "add", "v0", "type", "veth"):
        found.append(finding("lab_no_kernel", what="veth"))
    if not _inside("ip", "link", "add", "b0", "type", "bridge"):
        found.append(finding("lab_no_kernel", what="bridges"))
    if not _inside("ip", "link", "add", "w0", "type", "wireguard"):
        found += _without_kernel_wireguard()
    return found


def _without_kernel_wireguard() -> list[Finding]:
    found = []
    if shutil.which("wireguard-go") is None:
        found.append(finding("lab_no_program", name="wireguard-go", package="wireguard-go"))
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError:
        found.append(finding("lab_no_tun"))
    return found


def _inside(*words: str) -> bool:
    done = subprocess.run(private.command(words), capture_output=True, timeout=30, check=False, cwd=Path("/"))
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(bool(lacks()))
