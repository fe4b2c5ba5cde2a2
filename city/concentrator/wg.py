"""The device, through ``wg``, which drives the kernel and wireguard-go alike. Keys go by descriptor, never by argument."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from city.concentrator.steps import Actual, RemovePeer, SetPeer, Step, read_dump, words

_TIMEOUT_SECONDS = 60.0
#: 20,000 peers make some 4 MiB.
MAX_DUMP_BYTES = 1 << 24
#: Peers of one ``wg set``: each has a descriptor and some 150 octets of arguments.
BATCH = 128
#: Who made a route (rtnetlink's rtm_protocol): nobody of the well-known ones.
_PROTOCOL = 215
#: ``wg`` repeats the line that it does not take, and that line can be a key, whole or damaged.
_SECRET = re.compile(r"[`'\"].*[`'\"]|[A-Za-z0-9+/]{20,}=*", re.DOTALL)


class DeviceRefused(Exception):
    """A tool did not do what was asked; the message is its own, without keys."""


def show(device: str) -> Actual:
    """Return what a device is.

    Raises:
        DeviceRefused: there is no such device.
    """
    try:
        return read_dump(_run(["wg", "show", device, "dump"])[:MAX_DUMP_BYTES])
    except ValueError:
        raise DeviceRefused("wg show: no dump") from None


def perform(device: str, steps: Sequence[Step]) -> None:
    """Carry out steps, in their order; those of one batch reach the device as one message.

    Raises:
        DeviceRefused: some may be carried out, some not; the next compare finds out.
    """
    at = 0
    while at < len(steps):
        end = min(at + BATCH, len(steps))
        if end < len(steps) and isinstance(steps[end - 1], RemovePeer) and isinstance(steps[end], SetPeer):
            end += 1  # perhaps a key and the one that follows it
        _set(device, steps[at:end])
        at = end


def _set(device: str, batch: Sequence[Step]) -> None:
    with contextlib.ExitStack() as stack:
        held = {step.public_key: _held(stack, step.psk) for step in batch if isinstance(step, SetPeer)}
        _run(["wg", "set", device, *words(batch, held)], tuple(held.values()))


def configure(device: str, text: str, *, anew: bool) -> None:
    """Give a device its whole configuration: ``anew`` for one that has none, else sessions that stay are kept.

    Raises:
        DeviceRefused: of a text that ``wg`` does not take nothing was changed.
    """
    with contextlib.ExitStack() as stack:
        held = _held(stack, text)
        _run(["wg", "setconf" if anew else "syncconf", device, f"/dev/fd/{held}"], (held,))


def own(device: str, private_key: str, port: int) -> None:
    """Give a device its key and port and let its peers be.

    Raises:
        DeviceRefused: nothing was changed.
    """
    with contextlib.ExitStack() as stack:
        held = _held(stack, private_key)
        _run(["wg", "set", device, "private-key", f"/dev/fd/{held}", "listen-port", str(port)], (held,))


def load_rules(text: str) -> None:
    """Load rules in one transaction.

    Raises:
        DeviceRefused: nothing was changed.
    """
    _run(["nft", "-f", "-"], given=text)


def shown_rules(table: str) -> str:
    """Return a table as the kernel has it, without counters; "" when it is not there.

    Raises:
        DeviceRefused: nobody can say.
    """
    if f"table {table}\n" not in _run(["nft", "list", "tables"]):
        return ""
    return _run(["nft", "--stateless", "list", "table", *table.split()])


def raise_device(device: str, address: str, network: str, metric: int, mtu: int) -> None:
    """Make the device if it is not there (the kernel's), with our address and the way to the sites, and set it up.

    The host forwards from then on; the rules must be loaded before.

    Raises:
        DeviceRefused: the kernel has no WireGuard and nobody made the device, or the host does not let us.
    """
    if device not in {name for _, name in socket.if_nameindex()}:
        _run(["ip", "link", "add", "dev", device, "type", "wireguard"])
    _run(["ip", "address", "replace", f"{address}/32", "dev", device])
    _run(["ip", "link", "set", "dev", device, "mtu", str(mtu), "up"])
    _run(["ip", "route", "replace", network, "dev", device, "metric", str(metric), "src", address])
    try:
        # With two devices a site's packets come from either; whose they are, the device has judged.
        Path(f"/proc/sys/net/ipv4/conf/{device}/rp_filter").write_text("2\n", encoding="ascii")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n", encoding="ascii")
    except OSError as wrong:
        raise DeviceRefused(f"sysctl: {wrong.strerror}") from None


def drop_device(device: str) -> None:
    """Take a device away with its key, its peers and the ways through it.

    Raises:
        DeviceRefused: it is still there.
    """
    _run(["ip", "link", "delete", "dev", device])


def lead(ways: Mapping[str, str | None]) -> None:
    """Lead single addresses through a device, or (None) the way of their network again.

    Raises:
        DeviceRefused: some may be led, some not.
    """
    lines = [
        f"route {'flush' if device is None else 'replace'} {address}/32 {'' if device is None else f'dev {device} '}"
        f"proto {_PROTOCOL}"
        for address, device in ways.items()
    ]
    if lines:
        _run(["ip", "-batch", "-"], given="\n".join(lines) + "\n")


def led() -> dict[str, str]:
    """Return which single addresses are led through which device.

    Raises:
        DeviceRefused: nobody can say.
    """
    lines = [line.split() for line in _run(["ip", "-4", "route", "show", "proto", str(_PROTOCOL)]).splitlines()]
    return {words[0]: words[2] for words in lines if words[1:2] == ["dev"]}


def _held(stack: contextlib.ExitStack, secret: str) -> int:
    """A file without a name, in memory, that goes with the block."""
    descriptor = os.memfd_create("wg", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    data = memoryview(secret.encode("ascii"))
    while data:
        data = data[os.write(descriptor, data) :]
    return descriptor


def _run(command: list[str], descriptors: tuple[int, ...] = (), given: str = "") -> str:
    name = " ".join(command[:2])
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            pass_fds=descriptors,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise DeviceRefused(f"{name}: {type(wrong).__name__}") from None
    if done.returncode:
        raise DeviceRefused(f"{name}: {_SECRET.sub('(hidden)', done.stderr.strip())[:200]}")
    return done.stdout
