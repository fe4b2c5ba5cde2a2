"""What a proof opens beforehand, as while somebody watches and while the box enrols: the sample's pins, and the hole."""

from __future__ import annotations

import os
from ipaddress import IPv4Address

from firewall import hole, pin
from firewall.prove.flows import EAR_PORT, recorders, sample
from firewall.prove.packet import Room
from netconf.model import Site


def opened(site: Site) -> dict[Room, str]:
    """Return the scripts that open the sample's pins, by namespace."""
    pins, known = sample(site), recorders(site)
    door = (IPv4Address(pins.enrolment[0]), pins.enrolment[1])
    scripts: dict[Room, str] = {"lan": "", "vpn": "", "wan": hole.opened(os.geteuid(), *door, seconds=600)}

    def ends(ports: tuple[int, int], ours: int) -> tuple[pin.End, pin.End]:
        return (site.tunnel[0].address.ip, ports[ours]), (IPv4Address(pins.city), ports[1 - ours])

    held: list[pin.Pin] = []
    if site.platform:
        held = [
            pin.outward(*ends(pins.city_udp, 1), 2048, pins.city_reports),
            pin.outward_framed(*ends(pins.city_tcp, 1), 2048),
        ]
    if known:
        sources = known[0].media_addresses
        held.append(pin.inward(sources, pins.lan_udp, (pins.payload_type,), 2048, pins.lan_reports))
        held.append(pin.inward_framed(sources, pins.lan_tcp, 2048))
    if known and known[0].id in site.spoken_to:
        held.append(pin.sound_from(*ends(pins.city_sound, 1), 12))
        held.append(pin.sound_to(known[0].media_addresses[0], EAR_PORT, pins.lan_sound, 12))
    for each in held:
        scripts[room_of(each.namespace)] += pin.opened(each, 600)[each.namespace]
    return scripts


def room_of(name: str) -> Room:
    """Return a room by its name.

    Raises:
        KeyError: there is none.
    """
    rooms: dict[str, Room] = {"lan": "lan", "vpn": "vpn", "wan": "wan"}
    return rooms[name]
