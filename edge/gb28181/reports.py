"""What a platform tells of its devices, as events of its machine."""

from __future__ import annotations

from dataclasses import dataclass

from edge.manscdp.catalog import CatalogEntry
from edge.manscdp.control import ControlResponse
from edge.manscdp.device import DeviceInfoResponse, DeviceStatusResponse, Position, PresetResponse
from edge.manscdp.events import AlarmNotify, BroadcastResponse
from edge.manscdp.recordings import RecordInfoResponse


@dataclass(frozen=True, slots=True)
class DeviceOnline:
    id: str


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    id: str
    cause: str


@dataclass(frozen=True, slots=True)
class CatalogReceived:
    """A device's catalog, or what came of it; unasked single items come as incomplete ones."""

    device: str
    items: tuple[CatalogEntry, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class DeviceInfoReceived:
    device: str
    info: DeviceInfoResponse


@dataclass(frozen=True, slots=True)
class DeviceStatusReceived:
    device: str
    status: DeviceStatusResponse


@dataclass(frozen=True, slots=True)
class ChannelsFaulty:
    """What a device's keepalive says of its children: these are faulty, every other one is not (9.6.1)."""

    device: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelChanged:
    """A device's notice: a channel came or went."""

    device: str
    channel: str
    online: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A page, or the whole, of an answer to ``ask``."""

    device: str
    sn: int
    body: RecordInfoResponse | PresetResponse | ControlResponse | BroadcastResponse


@dataclass(frozen=True, slots=True)
class AskRefused:
    """What ``ask`` sent was refused with a SIP status, or not answered (408)."""

    device: str
    sn: int
    status: int


@dataclass(frozen=True, slots=True)
class ControlSent:
    """A control that is answered by its 200 alone was."""

    device: str
    sn: int


@dataclass(frozen=True, slots=True)
class AlarmReceived:
    device: str
    alarm: AlarmNotify


@dataclass(frozen=True, slots=True)
class PositionReceived:
    device: str
    position: Position


@dataclass(frozen=True, slots=True)
class MediaEnded:
    """A device has sent a recording to its end; the call stands until somebody hangs up."""

    call: str
