"""A platform at which a device is registered, without a socket: where a test or a measurement of what follows begins."""

from __future__ import annotations

from edge.gb28181.device import Device, DeviceConfig
from edge.gb28181.platform import KnownDevice, Platform, PlatformConfig
from edge.sip.address import Address

DOMAIN, CITY_ID, BOX_ID = "3402000000", "34020000002000000001", "34020000001180000001"


def configs(device: Address, platform: Address) -> tuple[DeviceConfig, PlatformConfig]:
    """Return what a device and a platform at two addresses must know of each other."""
    known = KnownDevice(BOX_ID, "secret", frozenset({device.host}))
    return (
        DeviceConfig(BOX_ID, DOMAIN, device, platform, CITY_ID, DOMAIN, "secret"),
        PlatformConfig(CITY_ID, DOMAIN, platform, DOMAIN, (known,)),
    )


def register(device: Device, platform: Platform, at: tuple[Address, Address], now: float) -> None:
    """Carry by hand what the two say to each other (``at`` is where each is) until they are silent.

    Raises:
        AssertionError: the platform does not hold the device for registered afterwards.
    """
    device.start(now)
    for _ in range(100):
        ends = ((device, platform, at[0]), (platform, device, at[1]))
        carried = [
            other.receive_datagram(data, source, now)
            for end, other, source in ends
            for data, _ in end.datagrams_to_send(now)
        ]
        if not carried:
            break
    for end in (device, platform):
        while end.next_event() is not None:
            continue
    assert platform.kept()["bound"], "the device could not register"
