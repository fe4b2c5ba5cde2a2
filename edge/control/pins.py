"""Which pin fits a site, and what it is in the firewall. Pure: the keeper asks, for what it is asked itself."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from edge.control.wire import OpenFrom, OpenIn, OpenOut, OpenTo
from firewall import pin as pins
from firewall.pin import End, Pin
from netconf.model import Recorder, Site

#: A pin's rate may not be asked higher than a 16 Mbit/s main stream.
MAX_PIN_KBYTES = 2048
#: G.711 in packets of 20 ms with their headers is 10 kbytes a second (RFC 3551 4.5.14).
SOUND_KBYTES = 12
#: Sounds at once; the recorders' small loudspeakers are not a crowd.
MAX_SOUNDS = 8
#: Our port for reports is that of the media, or one above.
_REPORT_PORTS = (0, 1)
Asked = OpenIn | OpenOut | OpenFrom | OpenTo


def objection(asked: Asked, others: Iterable[Asked], site: Site) -> str | None:
    """Return the rule that a pin breaks beside the ``others`` that are open, or None."""
    alike = [other for other in others if type(other) is type(asked)]
    sound = isinstance(asked, OpenFrom | OpenTo)
    recorder = _recorder(asked.recorder, site) if isinstance(asked, OpenIn | OpenTo) else None
    own = asked.lan_port if isinstance(asked, OpenIn | OpenTo) else None
    taken = {other.lan_port for other in alike if isinstance(other, OpenIn | OpenTo)}
    far = None if isinstance(asked, OpenIn) else IPv4Address(asked.address)
    city = any(far in network for above in site.platform for network in above.media_networks if far is not None)
    checks = {
        "pin_count": len(alike) < (MAX_SOUNDS if sound else site.max_calls),
        "pin_rate": not isinstance(asked, OpenIn | OpenOut) or asked.max_kbytes_per_second <= MAX_PIN_KBYTES,
        "pin_talk": not sound or bool(site.spoken_to),
        "pin_recorder": own is None or recorder is not None,
        "pin_lan_port": own is None or own in site.lan.media_port_range,
        "pin_lan_port_taken": own not in taken,
        "pin_recorder_address": recorder is None or far is None or far in recorder.media_addresses,
        "pin_city_address": own is not None or city,
        "pin_tunnel": not isinstance(asked, OpenOut | OpenFrom)
        or IPv4Address(asked.local) in (tunnel.address.ip for tunnel in site.tunnel),
        "pin_reports": not isinstance(asked, OpenOut)
        or asked.report_local_port - asked.local_port in _REPORT_PORTS
        or not asked.report_port,
    }
    return next((rule for rule, good in checks.items() if not good), None)


def pin_of(asked: Asked, site: Site) -> Pin:
    """Return the set elements that a pin is which fits ``site``."""
    if isinstance(asked, OpenFrom):
        return pins.sound_from(*_ends(asked), SOUND_KBYTES)
    if isinstance(asked, OpenTo):
        return pins.sound_to(IPv4Address(asked.address), asked.port, asked.lan_port, SOUND_KBYTES)
    rate, framed = asked.max_kbytes_per_second, asked.transport == "tcp"
    if isinstance(asked, OpenOut):
        reports = (asked.report_port, asked.report_local_port) if asked.report_port else None
        ends = _ends(asked)
        return pins.outward_framed(*ends, rate) if framed else pins.outward(*ends, rate, reports)
    recorder = _recorder(asked.recorder, site)
    sources = recorder.media_addresses if recorder is not None else ()
    if framed:
        return pins.inward_framed(sources, asked.lan_port, rate)
    above = asked.lan_port + 1
    own = above if above in site.lan.media_port_range else None
    return pins.inward(sources, asked.lan_port, asked.payload_types, rate, own)


def _ends(asked: OpenOut | OpenFrom) -> tuple[End, End]:
    """Our end, and the city's."""
    return (IPv4Address(asked.local), asked.local_port), (IPv4Address(asked.address), asked.port)


def _recorder(named: str, site: Site) -> Recorder | None:
    return next((recorder for recorder in site.recorder if recorder.id == named), None)
