"""Catalog: asking for it, its pages, and what changed (2016 A.2.4.3, A.2.6.3, annexes N and P; 2022 annexes J and N).

What an item must not carry upward (IPAddress, Port, Password, Block) has no field here and therefore no way through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from edge.manscdp.form import LATITUDE, LONGITUDE, At, Code, Several, Text, Time, Whole, Word
from edge.manscdp.heading import Heading

MAX_ITEMS_PER_MESSAGE = 1000
MAX_TOTAL = 1_000_000
_LABEL, _FLAG = Text(), Whole(0, 1)
_STATUS = Word(
    ("ON", "OFF"),
    heard=(("OFFLINE", "OFF"), ("NOTONLINE", "OFF"), ("ONLINE", "ON"), ("OK", "ON"), ("VLOST", "OFF"), ("DEFECT", "OFF")),
)  # fmt: skip
#: What may have happened to an item (2016 annex P).
EVENTS = ("ON", "OFF", "VLOST", "DEFECT", "ADD", "DEL", "UPDATE")


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One item of a catalog, as far as it may travel; positions in millionths of a degree (WGS-84)."""

    device_id: Annotated[str, At("DeviceID", Code("item_device_id"))]
    name: Annotated[str, At("Name", _LABEL, always=True)] = ""
    manufacturer: Annotated[str, At("Manufacturer", _LABEL, always=True)] = ""
    model: Annotated[str, At("Model", _LABEL, always=True)] = ""
    owner: Annotated[str, At("Owner", _LABEL, only=2016, always=True)] = ""
    civil_code: Annotated[str, At("CivilCode", _LABEL, always=True)] = ""
    address: Annotated[str, At("Address", _LABEL, always=True)] = ""
    parental: Annotated[int, At("Parental", _FLAG)] = 0
    parent_id: Annotated[str, At("ParentID", _LABEL, always=True)] = ""
    safety_way: Annotated[int, At("SafetyWay", Whole(0, 4), only=2016)] = 0
    register_way: Annotated[int, At("RegisterWay", Whole(1, 9))] = 1
    secrecy: Annotated[int, At("Secrecy", _FLAG)] = 0
    status: Annotated[str, At("Status", _STATUS)] = "ON"
    longitude: Annotated[int | None, At("Longitude", LONGITUDE)] = None
    latitude: Annotated[int | None, At("Latitude", LATITUDE)] = None
    security_level: Annotated[str, At("SecurityLevelCode", Word(("A", "B", "C")), only=2022)] = ""
    business_group_id: Annotated[str, At("Info/BusinessGroupID", Code(), in_2022="BusinessGroupID")] = ""
    ptz_type: Annotated[int | None, At("Info/PTZType", Whole(0, 7), also=("PTZType",))] = None
    grassroots_code: Annotated[str, At("Info/GrassrootsCode", Text(12), only=2022)] = ""
    point_type: Annotated[int | None, At("Info/PointType", Whole(0, 9), only=2022)] = None
    stream_numbers: Annotated[str, At("Info/StreamNumberList", Text(16), only=2022)] = ""

    def with_status(self, status: str) -> CatalogEntry:
        return replace(self, status=status)


@dataclass(frozen=True, slots=True)
class Node:
    """An item that is no device: a division, a system, a business group (215) or a virtual organisation (216).

    It is written with what the standard gives such a node and no more (2016 annex O): some platforms take an item with a
    manufacturer for a camera.
    """

    device_id: Annotated[str, At("DeviceID", Code("item_device_id"))]
    name: Annotated[str, At("Name", _LABEL, always=True)]
    civil_code: Annotated[str, At("CivilCode", _LABEL)] = ""
    parent_id: Annotated[str, At("ParentID", _LABEL)] = ""
    business_group_id: Annotated[str, At("BusinessGroupID", Code())] = ""
    status: Annotated[str, At("Status", _STATUS)] = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an item; for ADD and UPDATE the whole item comes with it."""

    device_id: Annotated[str, At("DeviceID", Code("item_device_id"))]
    event: Annotated[str, At("Event", Word(EVENTS))]
    name: Annotated[str, At("Name", _LABEL)] = ""
    manufacturer: Annotated[str, At("Manufacturer", _LABEL)] = ""
    model: Annotated[str, At("Model", _LABEL)] = ""
    owner: Annotated[str, At("Owner", _LABEL, only=2016)] = ""
    civil_code: Annotated[str, At("CivilCode", _LABEL)] = ""
    address: Annotated[str, At("Address", _LABEL)] = ""
    parental: Annotated[int | None, At("Parental", _FLAG)] = None
    parent_id: Annotated[str, At("ParentID", _LABEL)] = ""
    register_way: Annotated[int | None, At("RegisterWay", Whole(1, 9))] = None
    secrecy: Annotated[int | None, At("Secrecy", _FLAG)] = None
    status: Annotated[str, At("Status", _STATUS)] = ""
    ptz_type: Annotated[int | None, At("Info/PTZType", Whole(0, 7), also=("PTZType",))] = None


@dataclass(frozen=True, slots=True)
class CatalogQuery(Heading):
    """Asks for the catalog below ``device_id``; the times bound when an item was added."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "Catalog"
    start: Annotated[int | None, At("StartTime", Time())] = None
    end: Annotated[int | None, At("EndTime", Time())] = None


@dataclass(frozen=True, slots=True)
class CatalogResponse(Heading):
    """One page: ``total`` counts the items of all pages together. A subscription's 200 carries a ``result`` alone."""

    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "Catalog"
    total: Annotated[int | None, At("SumNum", Whole(0, MAX_TOTAL))] = None
    items: Annotated[
        tuple[CatalogEntry | Node, ...], At("DeviceList", Several("Item", CatalogEntry, MAX_ITEMS_PER_MESSAGE))
    ] = ()
    result: Annotated[str, At("Result", Word(("OK", "ERROR")))] = ""


@dataclass(frozen=True, slots=True)
class CatalogNotify(Heading):
    """What changed, to a subscriber."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "Catalog"
    total: Annotated[int | None, At("SumNum", Whole(0, MAX_TOTAL))] = None
    items: Annotated[tuple[Change, ...], At("DeviceList", Several("Item", Change, MAX_ITEMS_PER_MESSAGE))] = ()
