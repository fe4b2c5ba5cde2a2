"""What a concentrator should be, moved on by signed snapshots and changes only. Pure; commands come out as steps.

Whatever arrives, one of four things happens: it is carried out; parts of it are refused by name and the others carried
out; it is refused whole and nothing changes; or nothing changes and the snapshot is asked for (``follows`` is False).
Nothing is ever taken off because something did not come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from city.concentrator import steps
from city.concentrator.entries import EntryRefused, Own, Owners, SitePeer, Unseal, read, site_of
from netconf import envelope
from netconf.envelope import EnvelopeRefused, Peers

#: A snapshot in which more peers than this, and more than this part of all, are missing without a word is not believed.
MOST_MISSING, MOST_MISSING_PART = 10, 0.05
#: Refused entries that are kept to be told; the count goes on.
MOST_REFUSED = 64


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of an envelope.

    ``rule`` says why nothing of it was taken ("" when it was); ``follows`` is False when the snapshot is needed first.
    """

    steps: tuple[steps.Step, ...] = ()
    rule: str = ""
    follows: bool = True
    kept: bool = False


@dataclass(slots=True)
class Core:
    """The desired peers of one concentrator, by site, and ``owners`` of what they have; ``refused``: site (or a place in the
    list) -> rule."""

    own: Own
    city: Ed25519PublicKey
    unseal: Unseal
    epoch: int = 0
    revision: int = 0
    has_snapshot: bool = False
    peers: dict[str, SitePeer] = field(default_factory=dict)
    owners: Owners = field(default_factory=Owners)
    refused: dict[str, str] = field(default_factory=dict)
    missing: int = 0

    def take(self, text: str) -> Taken:
        """Judge an envelope and move on by it."""
        try:
            told = envelope.open_peers(text, self.city, concentrator=self.own.id)
        except EnvelopeRefused as refused:
            return Taken(rule=refused.rule)
        if told.epoch < self.epoch:
            return Taken(rule="hub_epoch_old")
        return self._snapshot(told) if told.kind == "snapshot" else self._changes(told)

    def _snapshot(self, told: Peers) -> Taken:
        if self.has_snapshot and (told.epoch, told.revision) < (self.epoch, self.revision):
            return Taken(rule="hub_snapshot_old")
        new, refused, gone = self._read_all(told.peers)
        named = new.keys() | refused.keys() | gone
        missing = len(self.peers.keys() - named)
        if missing and not told.smaller and self._too_many(missing):
            self.missing = missing
            return Taken(rule="hub_snapshot_smaller")
        owners = Owners.of(new)
        for site in refused.keys() & self.peers.keys():
            # What it had stays: an entry that cannot be believed takes nothing away.
            if owners.clash(self.peers[site]) is None:
                new[site] = self.peers[site]
                owners.add(new[site])
        made = steps.change(self.peers.values(), new.values())
        self.peers, self.owners, self.refused, self.missing = new, owners, refused, 0
        self.epoch, self.revision, self.has_snapshot = told.epoch, told.revision, True
        return Taken(tuple(made), kept=True)

    def _too_many(self, missing: int) -> bool:
        many = missing > MOST_MISSING and missing > MOST_MISSING_PART * len(self.peers)
        return many or missing == len(self.peers)

    def _read_all(self, bodies: Iterable[dict[str, Any]]) -> tuple[dict[str, SitePeer], dict[str, str], set[str]]:
        new: dict[str, SitePeer] = {}
        refused: dict[str, str] = {}
        gone: set[str] = set()
        owners = Owners()
        for at, body in enumerate(bodies):
            site = f"#{at}"
            try:
                site = site_of(body)
                if body.get("gone") is True:
                    gone.add(site)
                    continue
                peer = read(body, self.own, self.peers.get(site), self.unseal)
                if rule := "hub_site_twice" if site in new else owners.clash(peer):
                    raise EntryRefused(rule)
            except EntryRefused as wrong:
                refused[site] = wrong.rule
                continue
            new[site] = peer
            owners.add(peer)
        return new, refused, gone - new.keys()

    def _changes(self, told: Peers) -> Taken:
        if not self.has_snapshot or told.epoch != self.epoch or told.first > self.revision + 1:
            return Taken(follows=False)
        if told.revision + 1 - told.first != len(told.peers) or any(
            body.get("revision") != number for number, body in enumerate(told.peers, told.first)
        ):
            return Taken(rule="hub_feed_gap", follows=False)
        fresh = [body for body in told.peers if body["revision"] > self.revision]
        if not fresh:
            return Taken()
        anew: set[str] = set()
        # What they had before; of all the others nothing is looked at, however many there are.
        before: dict[str, SitePeer | None] = {}
        for body in fresh:
            site, old = self._one(body)
            before.setdefault(site, old)
            if body.get("reset") is True and site in self.peers:
                anew.add(site)
        self.revision = told.revision
        made = steps.change(filter(None, before.values()), _of(self.peers, before), frozenset(anew))
        return Taken(tuple(made), kept=True)

    def _one(self, body: Mapping[str, Any]) -> tuple[str, SitePeer | None]:
        """Carry out one change on what is desired, or refuse it; return whom it is about, and what he had."""
        site, old = f"@{body['revision']}", None
        try:
            site = site_of(body)
            old = self.peers.get(site)
            if body.get("gone") is True:
                if old is not None:
                    self.owners.remove(self.peers.pop(site))
            else:
                peer = read(body, self.own, old, self.unseal)
                if rule := self.owners.clash(peer):
                    raise EntryRefused(rule)
                if old is not None:
                    self.owners.remove(old)
                self.owners.add(peer)
                self.peers[site] = peer
            self.refused.pop(site, None)
        except EntryRefused as wrong:
            if len(self.refused) < MOST_REFUSED or site in self.refused:
                self.refused[site] = wrong.rule
        return site, old


def _of(peers: Mapping[str, SitePeer], sites: Iterable[str]) -> list[SitePeer]:
    return [peers[site] for site in sites if site in peers]
