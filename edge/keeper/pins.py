"""Pins: media paths with a time to live, opened only where the confirmed site has room for them."""

from __future__ import annotations

import time
from collections import Counter
from ipaddress import IPv4Address

from edge.control.wire import Answer, ClosePin, Done, OpenPin, PinRequest, Refusal, RenewPin
from edge.keeper.hand import HandRefused
from edge.keeper.kernel import Kernel
from firewall import pin as pins
from firewall.pin import Pin
from netconf.model import Site

#: A pin's rate may not be asked higher than a 16 Mbit/s main stream.
MAX_PIN_KBYTES = 2048


class Pins:
    """The open pins by call."""

    def __init__(self, counters: Counter[str]) -> None:
        self._held: dict[str, tuple[OpenPin, Pin, float]] = {}
        self._counters = counters

    def __len__(self) -> int:
        return len(self._held)

    def answer(self, request: PinRequest, site: Site | None, kernel: Kernel) -> Answer:
        """Open, renew or close a pin; what the confirmed site does not cover is refused by name."""
        rule = "pin_without_site" if site is None else self._objection(request, site)
        if rule is not None or site is None:
            self._counters[str(rule)] += 1
            return Refusal(str(rule))
        try:
            if isinstance(request, ClosePin):
                held = self._held.pop(request.call, None)
                if held is not None:
                    kernel.script(pins.closed(held[1]))
                return Done()
            asked = self._held[request.call][0] if isinstance(request, RenewPin) else request
            pin = _pin(asked, site)
            kernel.script(pins.opened(pin, request.ttl_seconds))
            self._held[request.call] = (asked, pin, time.monotonic() + request.ttl_seconds)
        except HandRefused:
            self._counters["pin_not_loaded"] += 1
            return Refusal("pin_not_loaded")
        return Done()

    def _objection(self, request: PinRequest, site: Site) -> str | None:
        if isinstance(request, RenewPin):
            return None if request.call in self._held else "pin_unknown"
        if isinstance(request, ClosePin):
            return None
        recorder = next((r for r in site.recorder if r.id == request.recorder), None)
        city = IPv4Address(request.city_address)
        others = [asked for call, (asked, _, _) in self._held.items() if call != request.call]
        checks = {
            "pin_recorder": recorder is not None,
            "pin_lan_port": request.lan_port in site.lan.media_port_range,
            "pin_lan_port_taken": all(other.lan_port != request.lan_port for other in others),
            "pin_city_address": any(city in net for platform in site.platform for net in platform.media_networks),
            "pin_rate": request.max_kbytes_per_second <= MAX_PIN_KBYTES,
            "pin_count": len(others) < site.max_calls,
        }
        return next((rule for rule, good in checks.items() if not good), None)

    def expire(self) -> None:
        """Forget what the kernel has let go by itself."""
        now = time.monotonic()
        self._held = {call: held for call, held in self._held.items() if held[2] > now}

    def fit(self, site: Site, kernel: Kernel) -> None:
        """Close what another site has no room for."""
        for call, (asked, pin, _) in list(self._held.items()):
            if self._objection(asked, site) is not None or _pin(asked, site) != pin:
                del self._held[call]
                kernel.script(pins.closed(pin))

    def put_back(self, namespace: str, kernel: Kernel) -> None:
        """Open again, for what is left of their time, the pins of a namespace whose rules were loaded anew."""
        now = time.monotonic()
        for _, pin, until in self._held.values():
            if until - now >= 1:
                scripts = pins.opened(pin, int(until - now))
                kernel.script({name: script for name, script in scripts.items() if name == namespace})


def _pin(asked: OpenPin, site: Site) -> Pin:
    recorder = next(r for r in site.recorder if r.id == asked.recorder)
    return Pin(
        recorder.media_addresses,
        asked.lan_port,
        asked.payload_type,
        IPv4Address(asked.city_address),
        asked.city_port,
        asked.city_local_port,
        asked.max_kbytes_per_second,
    )
