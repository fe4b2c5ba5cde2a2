"""Collecting a catalog: by SN, keyed by item, tolerant of order, repetition, wrong sums and pages that never come."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.manscdp.catalog import CatalogEntry, CatalogResponse

MAX_CATALOG_ITEMS = 10_000
#: A recorder of 1000 channels sends a page every 30 ms; one that is silent for so long has stopped.
IDLE_SECONDS = 5.0


def entries(page: CatalogResponse) -> tuple[CatalogEntry, ...]:
    """Return the devices of a page; a page that was read has nothing else."""
    return tuple(item for item in page.items if isinstance(item, CatalogEntry))


@dataclass(slots=True)
class Collector:
    """One query's answers so far."""

    sn: int
    last_at: float
    total: int | None = None
    items: dict[str, CatalogEntry] = field(default_factory=dict)

    def take(self, page: CatalogResponse, now: float) -> bool:
        """Add a page; return whether it belongs here."""
        if page.sn != self.sn:
            return False
        self.last_at = now
        if page.total is not None:
            self.total = page.total
        elif self.total is None:
            self.total = len(page.items)
        for item in entries(page):
            if len(self.items) < MAX_CATALOG_ITEMS or item.device_id in self.items:
                self.items[item.device_id] = item
        return True

    @property
    def complete(self) -> bool:
        return self.total is not None and len(self.items) >= self.total

    def finished(self, now: float) -> bool:
        """Return whether there is nothing more to wait for."""
        return self.complete or now - self.last_at > IDLE_SECONDS
