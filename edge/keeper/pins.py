"""Pins: halves of media paths with a time to live, opened only where the confirmed site has room for them."""

from __future__ import annotations

import time
from collections import Counter

from edge.control.pins import Asked, objection, pin_of
from edge.control.wire import Answer, ClosePin, Done, PinRequest, Refusal, RenewPin
from edge.keeper.hand import HandRefused
from edge.keeper.kernel import Kernel
from firewall import pin as pins
from firewall.pin import Pin
from netconf.model import Site


class Pins:
    """The open pins by name."""

    def __init__(self, counters: Counter[str]) -> None:
        self._held: dict[str, tuple[Asked, Pin, float]] = {}
        self._counters = counters

    def __len__(self) -> int:
        return len(self._held)

    def answer(self, request: PinRequest, site: Site | None, kernel: Kernel) -> Answer:
        """Open, renew or close a pin; what the confirmed site does not cover is refused by name."""
        rule = "pin_without_site" if site is None or not site.enrolled else self._objection(request, site)
        if rule is not None or site is None:
            self._counters[str(rule)] += 1
            return Refusal(str(rule))
        try:
            if isinstance(request, ClosePin):
                held = self._held.pop(request.pin, None)
                if held is not None:
                    kernel.script(pins.closed(held[1]))
                return Done()
            asked = self._held[request.pin][0] if isinstance(request, RenewPin) else request
            pin = pin_of(asked, site)
            old = self._held[request.pin][1] if request.pin in self._held else pin
            kernel.script(pins.changed(old, pin, request.ttl_seconds))
            self._held[request.pin] = (asked, pin, time.monotonic() + request.ttl_seconds)
        except HandRefused:
            self._counters["pin_not_loaded"] += 1
            return Refusal("pin_not_loaded")
        return Done()

    def _objection(self, request: PinRequest, site: Site) -> str | None:
        if isinstance(request, RenewPin):
            return None if request.pin in self._held else "pin_unknown"
        if isinstance(request, ClosePin):
            return None
        return objection(request, (asked for name, (asked, _, _) in self._held.items() if name != request.pin), site)

    def expire(self) -> None:
        """Forget what the kernel has let go by itself."""
        now = time.monotonic()
        self._held = {name: held for name, held in self._held.items() if held[2] > now}

    def fit(self, site: Site, kernel: Kernel) -> None:
        """Close what another site has no room for."""
        for name, (asked, pin, _) in list(self._held.items()):
            if self._objection(asked, site) is not None or pin_of(asked, site) != pin:
                del self._held[name]
                kernel.script(pins.closed(pin))

    def left(self, namespace: str) -> str:
        """Return the script that opens a namespace's pins again, for what is left of their time."""
        now = time.monotonic()
        held = [(pin, int(until - now)) for _, pin, until in self._held.values() if pin.namespace == namespace]
        return "".join(pins.opened(pin, seconds)[namespace] for pin, seconds in held if seconds >= 1)
