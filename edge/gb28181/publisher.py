"""What a device shows of its channels: the catalog page by page, and each change to whom it concerns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edge.gb28181.damper import Damper
from edge.gb28181.pager import pages
from edge.gb28181.subscriptions import Subscriptions
from edge.manscdp.catalog import CatalogEntry, CatalogNotify, CatalogQuery, CatalogResponse, Change, Node
from edge.manscdp.messages import Message, encode

#: How many changes one NOTIFY tells at most (2022 annex N.1 speaks of 100).
MAX_CHANGES_A_NOTIFY = 100
#: Additions, removals and renamings are rare; they are told together.
GATHER_SECONDS = 1.5
Item = CatalogEntry | Node


@dataclass(slots=True)
class Publisher:
    """The channels of the device ``own_id``, as its platform may know them."""

    own_id: str
    subscriptions: Subscriptions
    _items: dict[str, Item] = field(default_factory=dict)
    #: Whether anybody has asked: who saw an empty catalog is told of the first channel, too.
    _shown: bool = False
    _damper: Damper = field(default_factory=Damper)
    _changes: dict[str, Change] = field(default_factory=dict)
    _gather_until: float | None = None

    def set(self, items: Sequence[Item], now: float) -> None:
        """Take the channels as they are now."""
        after = {item.device_id: item for item in items}
        if self._items or self._shown:
            self._note_changes(after, now)
        self._items = after
        for item in items:
            if isinstance(item, CatalogEntry):
                self._damper.note(item.device_id, item.status, now)

    def _note_changes(self, after: dict[str, Item], now: float) -> None:
        for device_id, item in after.items():
            if not isinstance(item, CatalogEntry):
                continue
            before = self._items.get(device_id)
            if before is None:
                self._changes[device_id] = _change(item, "ADD")
            elif isinstance(before, CatalogEntry) and before.with_status(item.status) != item:
                self._changes[device_id] = _change(item, "UPDATE")
        for device_id in self._items.keys() - after.keys():
            self._changes[device_id] = Change(device_id, "DEL")
        if self._changes and self._gather_until is None:
            self._gather_until = now + GATHER_SECONDS

    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def status(self, device_id: str) -> str | None:
        """Return whether a channel is ON or OFF; None for what is none."""
        item = self._items.get(device_id)
        return item.status if isinstance(item, CatalogEntry) else None

    def count(self) -> int:
        return sum(isinstance(item, CatalogEntry) for item in self._items.values())

    def faulty(self) -> tuple[str, ...]:
        """Return the channels that are off (for the keepalive, 9.6.1)."""
        off = [i.device_id for i in self._items.values() if isinstance(i, CatalogEntry) and i.status == "OFF"]
        return tuple(off[:MAX_CHANGES_A_NOTIFY])

    # -- queries -------------------------------------------------------------------------------------------------

    def answer(self, query: CatalogQuery, most_bytes: int, edition: int, charset: str | None) -> Iterator[Message]:
        """Return the pages that answer a catalog query."""
        self._shown = True
        chosen = self._below(query.device_id)
        return pages(
            lambda page: CatalogResponse(query.sn, query.device_id, len(chosen), page),
            chosen,
            most_bytes,
            lambda message: encode(message, edition, charset),
        )

    def _below(self, device_id: str) -> list[Item]:
        """What a query for ``device_id`` is answered with: all to the device itself, else the item and what hangs below."""
        if device_id == self.own_id:
            return list(self._items.values())
        chosen = {device_id}
        for _ in range(8):  # organisations nest; deeper than that nobody has seen one
            more = {i.device_id for i in self._items.values() if chosen & set(_parents(i))} - chosen
            if not more:
                break
            chosen |= more
        return [item for item in self._items.values() if item.device_id in chosen]

    # -- changes -------------------------------------------------------------------------------------------------

    def first_notice(self, sn: int) -> CatalogNotify:
        """Return what a new subscriber hears at once: what is off; all else is on (2016 annex P)."""
        off = tuple(Change(device_id, "OFF") for device_id in self.faulty())
        return CatalogNotify(sn, self.own_id, len(off), off)

    def timer(self) -> float | None:
        return min((at for at in (self._damper.timer(), self._gather_until) if at is not None), default=None)

    def handle_timer(self, sn: int, now: float) -> bool:
        """Tell the subscribers what is due; return whether a channel came or went."""
        due = self._damper.due(now)
        changes = [Change(device_id, status) for device_id, status in due.items() if device_id in self._items]
        if self._gather_until is not None and self._gather_until <= now:
            changes += self._changes.values()
            self._changes, self._gather_until = {}, None
        for at in range(0, len(changes), MAX_CHANGES_A_NOTIFY):
            part = tuple(changes[at : at + MAX_CHANGES_A_NOTIFY])
            self.subscriptions.notify("Catalog", CatalogNotify(sn, self.own_id, len(part), part), now)
        return bool(due)


def _parents(item: Item) -> list[str]:
    return [*item.parent_id.split("/"), item.business_group_id, item.civil_code]


def _change(item: CatalogEntry, event: str) -> Change:
    return Change(
        item.device_id,
        event,
        name=item.name,
        manufacturer=item.manufacturer,
        model=item.model,
        owner=item.owner,
        civil_code=item.civil_code,
        address=item.address,
        parental=item.parental,
        parent_id=item.parent_id,
        register_way=item.register_way,
        secrecy=item.secrecy,
        status=item.status,
        ptz_type=item.ptz_type,
    )
