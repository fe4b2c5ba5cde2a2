"""The messages that are known, each with its reader and writer; an unknown one is refused by name.

Element names compare without case (2022 texts and devices differ). What a catalog item must not carry upward
(IPAddress, Port, Password, Block, Owner's details) has no field here and therefore no way through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar
from xml.sax.saxutils import escape

from edge.manscdp import ptz
from edge.manscdp.reader import Element, RemoteManscdpError, read

MAX_ITEMS_PER_MESSAGE = 1000
MAX_LABEL_CHARACTERS = 255
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_CODE = re.compile(r"[0-9]{2,20}", re.ASCII)
#: The field writes these where it has nothing to say.
_EMPTY = frozenset(("null", "NULL"))


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One item of a catalog (2016 A.2.1.9), as far as it may travel."""

    device_id: str
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    owner: str = ""
    civil_code: str = ""
    address: str = ""
    parental: int = 0
    parent_id: str = ""
    register_way: int = 1
    secrecy: int = 0
    status: str = "ON"
    ptz_type: int | None = None

    def with_status(self, status: str) -> CatalogEntry:
        return replace(self, status=status)


@dataclass(frozen=True, slots=True)
class Keepalive:
    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "Keepalive"
    sn: int
    device_id: str
    status: str = "OK"


@dataclass(frozen=True, slots=True)
class CatalogQuery:
    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "Catalog"
    sn: int
    device_id: str


@dataclass(frozen=True, slots=True)
class CatalogResponse:
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "Catalog"
    sn: int
    device_id: str
    total: int
    items: tuple[CatalogEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceInfoQuery:
    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "DeviceInfo"
    sn: int
    device_id: str


@dataclass(frozen=True, slots=True)
class DeviceInfoResponse:
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "DeviceInfo"
    sn: int
    device_id: str
    result: str = "OK"
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    channels: int = 0


@dataclass(frozen=True, slots=True)
class DeviceStatusQuery:
    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "DeviceStatus"
    sn: int
    device_id: str


@dataclass(frozen=True, slots=True)
class DeviceStatusResponse:
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "DeviceStatus"
    sn: int
    device_id: str
    result: str = "OK"
    online: str = "ONLINE"
    status: str = "OK"
    encode: str = "ON"
    record: str = "OFF"


@dataclass(frozen=True, slots=True)
class PtzControl:
    """Turn, zoom, focus, presets (2016 9.3, A.3); no answer of its own belongs to it."""

    root: ClassVar[str] = "Control"
    command: ClassVar[str] = "DeviceControl"
    sn: int
    device_id: str
    ptz: ptz.Command


Message = (
    Keepalive
    | CatalogQuery
    | CatalogResponse
    | DeviceInfoQuery
    | DeviceInfoResponse
    | DeviceStatusQuery
    | DeviceStatusResponse
    | PtzControl
)


def decode(body: bytes) -> Message:
    """Read a body.

    Raises:
        RemoteManscdpError: with the rule it breaks; ``command_unknown`` for what is well-formed and not known.
    """
    root = read(body)
    command = root.value("CmdType")
    maker = _READERS.get((root.name, command))
    if maker is None:
        raise RemoteManscdpError("command_unknown")
    device_id = root.value("DeviceID")
    if not _CODE.fullmatch(device_id):
        raise RemoteManscdpError("device_id")
    return maker(root, _number(root, "SN", 0, 0xFFFFFFFF), device_id)


def encode(message: Message, charset: str = "GB2312") -> bytes:
    """Write a message as GB18030 octets restricted by nothing else, declared as ``charset``."""
    lines = [f'<?xml version="1.0" encoding="{charset}"?>', f"<{message.root}>"]
    lines += [
        f"<CmdType>{message.command}</CmdType>",
        f"<SN>{message.sn}</SN>",
        f"<DeviceID>{message.device_id}</DeviceID>",
    ]
    writer = _WRITERS.get(type(message))
    if writer is not None:
        lines += writer(message)
    lines.append(f"</{message.root}>")
    return ("\r\n".join(lines) + "\r\n").encode("gb18030")


def _number(element: Element, name: str, default: int, most: int) -> int:
    value = element.value(name)
    if not value:
        return default
    if not _NUMBER.fullmatch(value) or int(value) > most:
        raise RemoteManscdpError("number")
    return int(value)


def _lenient(element: Element, name: str, default: int | None, most: int) -> int | None:
    """A number that recorders fill with anything; what is none counts as absent."""
    value = element.value(name)
    return int(value) if _NUMBER.fullmatch(value) and int(value) <= most else default


def _label(element: Element, name: str) -> str:
    value = element.value(name)
    if value in _EMPTY:
        return ""
    return "".join(c for c in value if c.isprintable())[:MAX_LABEL_CHARACTERS]


def _word(element: Element, name: str, words: tuple[str, ...], default: str) -> str:
    value = element.value(name).upper()
    return value if value in words else default


def _item(element: Element) -> CatalogEntry:
    device_id = element.value("DeviceID")
    if not _CODE.fullmatch(device_id):
        raise RemoteManscdpError("item_device_id")
    info = element.one("Info") or element
    return CatalogEntry(
        device_id=device_id,
        name=_label(element, "Name"),
        manufacturer=_label(element, "Manufacturer"),
        model=_label(element, "Model"),
        owner=_label(element, "Owner"),
        civil_code=_label(element, "CivilCode"),
        address=_label(element, "Address"),
        parental=_lenient(element, "Parental", 0, 1) or 0,
        parent_id=_label(element, "ParentID"),
        register_way=_lenient(element, "RegisterWay", 1, 9) or 1,
        secrecy=_lenient(element, "Secrecy", 0, 1) or 0,
        status="OFF" if element.value("Status").upper() in ("OFF", "OFFLINE", "NOTONLINE") else "ON",
        ptz_type=_lenient(info, "PTZType", None, 7),
    )


def _read_catalog(root: Element, sn: int, device_id: str) -> Message:
    listed = root.one("DeviceList")
    items = tuple(_item(child) for child in listed.children if child.name.lower() == "item") if listed else ()
    if len(items) > MAX_ITEMS_PER_MESSAGE:
        raise RemoteManscdpError("items_many")
    return CatalogResponse(sn, device_id, _number(root, "SumNum", len(items), 1_000_000), items)


def _read_info(root: Element, sn: int, device_id: str) -> Message:
    return DeviceInfoResponse(
        sn,
        device_id,
        _word(root, "Result", ("OK", "ERROR"), "OK"),
        _label(root, "DeviceName"),
        _label(root, "Manufacturer"),
        _label(root, "Model"),
        _label(root, "Firmware"),
        _lenient(root, "Channel", 0, 100_000) or 0,
    )


def _read_status(root: Element, sn: int, device_id: str) -> Message:
    return DeviceStatusResponse(
        sn,
        device_id,
        _word(root, "Result", ("OK", "ERROR"), "OK"),
        _word(root, "Online", ("ONLINE", "OFFLINE"), "ONLINE"),
        _word(root, "Status", ("OK", "ERROR"), "OK"),
        _word(root, "Encode", ("ON", "OFF"), "ON"),
        _word(root, "Record", ("ON", "OFF"), "OFF"),
    )


def _read_control(root: Element, sn: int, device_id: str) -> Message:
    """One command a message: a second one beside it would cross unseen."""
    told = [
        child.name.lower() for child in root.children if child.name.lower() not in ("cmdtype", "sn", "deviceid", "info")
    ]
    if told != ["ptzcmd"]:
        raise RemoteManscdpError("command_unknown")
    return PtzControl(sn, device_id, ptz.parse(root.value("PTZCmd")))


_READERS: dict[tuple[str, str], Callable[[Element, int, str], Message]] = {
    ("Notify", "Keepalive"): lambda root, sn, who: Keepalive(sn, who, _word(root, "Status", ("OK", "ERROR"), "OK")),
    ("Query", "Catalog"): lambda root, sn, who: CatalogQuery(sn, who),
    ("Response", "Catalog"): _read_catalog,
    ("Query", "DeviceInfo"): lambda root, sn, who: DeviceInfoQuery(sn, who),
    ("Response", "DeviceInfo"): _read_info,
    ("Query", "DeviceStatus"): lambda root, sn, who: DeviceStatusQuery(sn, who),
    ("Response", "DeviceStatus"): _read_status,
    ("Control", "DeviceControl"): _read_control,
}

REGISTRY: tuple[type[Message], ...] = (
    Keepalive,
    CatalogQuery,
    CatalogResponse,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    PtzControl,
)


def _tag(name: str, value: str | int) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"


def _write_item(item: CatalogEntry) -> list[str]:
    lines = ["<Item>", _tag("DeviceID", item.device_id), _tag("Name", item.name)]
    lines += [_tag("Manufacturer", item.manufacturer), _tag("Model", item.model), _tag("Owner", item.owner)]
    lines += [_tag("CivilCode", item.civil_code), _tag("Address", item.address), _tag("Parental", item.parental)]
    lines += [_tag("ParentID", item.parent_id), _tag("SafetyWay", 0), _tag("RegisterWay", item.register_way)]
    lines += [_tag("Secrecy", item.secrecy), _tag("Status", item.status)]
    if item.ptz_type is not None:
        lines.append(f"<Info>{_tag('PTZType', item.ptz_type)}</Info>")
    return [*lines, "</Item>"]


def _write_catalog(message: CatalogResponse) -> list[str]:
    lines = [_tag("SumNum", message.total)]
    if message.items:
        lines.append(f'<DeviceList Num="{len(message.items)}">')
        for item in message.items:
            lines += _write_item(item)
        lines.append("</DeviceList>")
    return lines


def _write_info(message: DeviceInfoResponse) -> list[str]:
    return [
        _tag("DeviceName", message.name),
        _tag("Result", message.result),
        _tag("Manufacturer", message.manufacturer),
        _tag("Model", message.model),
        _tag("Firmware", message.firmware),
        _tag("Channel", message.channels),
    ]


def _write_status(message: DeviceStatusResponse) -> list[str]:
    return [
        _tag("Result", message.result),
        _tag("Online", message.online),
        _tag("Status", message.status),
        _tag("Encode", message.encode),
        _tag("Record", message.record),
    ]


_WRITERS: dict[type, Callable[..., list[str]]] = {
    Keepalive: lambda message: [_tag("Status", message.status)],
    CatalogResponse: _write_catalog,
    DeviceInfoResponse: _write_info,
    DeviceStatusResponse: _write_status,
    PtzControl: lambda message: [_tag("PTZCmd", ptz.write(message.ptz))],
}
