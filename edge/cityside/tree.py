"""The catalog upward: the site's channels, and above them what the city's layer wants to see (2016 annex O, 2022 annex J).

CivilCode and ParentID come from our own configuration alone: recorders write the domain there, "null", or the upper
platform's id, and a platform that groups by them loses the channel.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge.gb28181.publisher import Item
from edge.manscdp.catalog import CatalogEntry, Node
from edge.records.types import CatalogItem
from netconf.model import Group, Platform, Site

#: GB/T 28181-2022 E.3: what a site without a code of its own below the county has.
NO_GRASSROOTS = "000000"


class Tree:
    """How one site shows its channels to one platform."""

    def __init__(self, site: Site, platform: Platform) -> None:
        self._site = site.identity
        self._with_sub = {(channel.recorder, channel.id) for channel in site.channel if channel.sub_stream}
        self._own_id = platform.known_as or site.identity.id
        self._wanted = tree = platform.tree
        self._groups: dict[str, Group] = {group.id: group for group in tree.group} if tree.groups else {}
        self._group_of = {member: group for group in self._groups.values() for member in group.members}

    def nodes(self) -> list[Node]:
        """Return what stands above the channels, parents first."""
        site, tree = self._site, self._wanted
        nodes: list[Node] = []
        if tree.divisions:
            nodes.append(Node(site.civil_code, tree.division_name or site.civil_code))
        if tree.system:
            nodes.append(Node(self._own_id, site.name, civil_code=site.civil_code, status="ON"))
        for group in self._groups.values():
            if group.parent is None:
                nodes.append(Node(group.id, group.name, parent_id=self._own_id))
            else:
                parent = group.parent if group.parent in self._groups and self._is_organisation(group.parent) else ""
                nodes.append(Node(group.id, group.name, parent_id=parent, business_group_id=self._root(group)))
        return nodes

    def _is_organisation(self, group: str) -> bool:
        return self._groups[group].parent is not None

    def _root(self, group: Group) -> str:
        """The business group that an organisation belongs to."""
        for _ in range(len(self._groups)):
            above = self._groups.get(group.parent or "")
            if above is None:
                break
            group = above
        return group.id

    def entry(self, issued: str, item: CatalogItem) -> CatalogEntry:
        """Return a channel as the city sees it."""
        site = self._site
        group = self._group_of.get(issued)
        parents = [self._own_id, *([group.id] if group is not None else [])]
        return CatalogEntry(
            device_id=issued,
            name=item.name,
            manufacturer=item.manufacturer,
            model=item.model,
            owner=site.name,
            civil_code=site.civil_code,
            address=site.name,
            parent_id="/".join(parents),
            status="ON" if item.online else "OFF",
            ptz_type=item.ptz_type or None,
            business_group_id=self._root(group) if group is not None else "",
            grassroots_code=NO_GRASSROOTS,
            point_type=site.site_class,
            stream_numbers="0/1" if (item.recorder, item.channel) in self._with_sub else "",
        )

    def catalog(self, entries: Iterable[CatalogEntry]) -> tuple[Item, ...]:
        """Return all items in the order in which they are shown."""
        return (*self.nodes(), *entries)
