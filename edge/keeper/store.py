"""The box that confirmed commit works on: the kernel, the kept revisions, and what the daemons read."""

from __future__ import annotations

from pathlib import Path

from edge.keeper.kernel import Kernel
from edge.keeper.pins import Pins
from netconf import durable
from netconf.finding import Finding
from netconf.kept import Kept
from netconf.model import Site
from netconf.proposal import site_of


class Store(Kept):
    """Kept revisions, applied and published."""

    def __init__(self, kernel: Kernel, pins: Pins, state: Path, run: Path) -> None:
        super().__init__(state)
        self._kernel = kernel
        self._pins = pins
        self._published = run / "site.json"
        self.site: Site | None = None

    def apply(self, document: bytes) -> tuple[Finding, ...]:
        site, found = site_of(document)
        return found if site is None else self._kernel.apply(site)

    def publish(self, document: bytes) -> None:
        site, _ = site_of(document)
        assert site is not None  # it was applied
        self.site = site
        self._pins.fit(site, self._kernel)
        text = site.model_dump_json(by_alias=True).encode("utf-8")
        if not self._published.exists() or self._published.read_bytes() != text:
            durable.write(self._published, text, 0o644)

    def shut(self) -> None:
        self.site = None
        self._published.unlink(missing_ok=True)
        self._kernel.shut()
