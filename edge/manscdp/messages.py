"""The registry of messages: octets to a typed message and back; an unknown one is refused by name.

The messages stand by topic in ``device``, ``catalog``, ``recordings``, ``events`` and ``control``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge.manscdp import catalog, control, device, events, recordings
from edge.manscdp.form import build, lines
from edge.manscdp.heading import Heading
from edge.manscdp.reader import Element, RemoteManscdpError, read

Message = Heading | events.Broadcast

REGISTRY: tuple[type[Message], ...] = (
    device.Keepalive,
    device.DeviceInfoQuery,
    device.DeviceInfoResponse,
    device.DeviceStatusQuery,
    device.DeviceStatusResponse,
    device.ConfigDownloadQuery,
    device.ConfigDownloadResponse,
    device.PresetQuery,
    device.PresetResponse,
    device.HomePositionQuery,
    device.HomePositionResponse,
    device.CruiseListQuery,
    device.CruiseListResponse,
    device.CruiseQuery,
    device.CruiseResponse,
    device.PtzPositionQuery,
    device.PtzPositionResponse,
    device.PtzPositionNotify,
    device.SdCardQuery,
    device.SdCardResponse,
    device.PositionQuery,
    device.PositionNotify,
    device.PositionsNotify,
    catalog.CatalogQuery,
    catalog.CatalogResponse,
    catalog.CatalogNotify,
    recordings.RecordInfoQuery,
    recordings.RecordInfoResponse,
    events.AlarmQuery,
    events.AlarmNotify,
    events.AlarmResponse,
    events.MediaStatus,
    events.Broadcast,
    events.BroadcastResponse,
    events.SnapshotsUploaded,
    events.UpgradeResult,
    events.VideoUpload,
    *control.CONTROLS,
    control.ControlResponse,
    control.DeviceConfig,
    control.ConfigResponse,
)
_BY_COMMAND: dict[tuple[str, str], type[Any]] = {(kind.root.lower(), kind.command.lower()): kind for kind in REGISTRY}


def _position_of(root: Element) -> type[Any]:
    """One device as 2016 writes it, or several as 2022 does."""
    return device.PositionNotify if root.one("devicelist") is None else device.PositionsNotify


#: Commands whose class depends on what else the message says.
_CHOICES: dict[tuple[str, str], Callable[[Element], type[Any]]] = {
    ("control", "devicecontrol"): control.control_of,
    ("notify", "mobileposition"): _position_of,
}
#: GB18030 is what both names mean here; to a 2016 peer only what GBK holds is written.
_CODECS = {"GB2312": "gbk", "GB18030": "gb18030", "UTF-8": "utf-8"}
CHARSETS = tuple(_CODECS)


def decode(body: bytes, notes: list[str] | None = None) -> Message:
    """Read a body; what is read although it is not as the standard says is added to ``notes``.

    Raises:
        RemoteManscdpError: with the rule it breaks; ``command_unknown`` for what is well-formed and not known.
    """
    notes = [] if notes is None else notes
    root = read(body, notes)
    key = (root.name, (root.text_at("cmdtype") or _unnamed(root, notes)).lower())
    choose = _CHOICES.get(key)
    kind = choose(root) if choose is not None else _BY_COMMAND.get(key)
    if kind is None:
        raise RemoteManscdpError("command_unknown")
    if not root.text_at("sn"):
        notes.append("no_sn")
    message: Message = build(kind, root, notes)
    return message


def _unnamed(root: Element, notes: list[str]) -> str:
    """Some platforms send alarms that do not say what they are; nothing else has a priority."""
    if root.one("alarmpriority") is None:
        return ""
    notes.append("no_cmdtype")
    return "Alarm"


def encode(message: Message, edition: int = 2016, charset: str | None = None) -> bytes:
    """Write a message as ``edition`` (2016 or 2022) has it, declared as ``charset`` (by default the edition's own)."""
    charset = charset or ("GB18030" if edition >= 2022 else "GB2312")
    parts = [
        f'<?xml version="1.0" encoding="{charset}"?>',
        f"<{message.root}>",
        f"<CmdType>{message.command}</CmdType>",
    ]
    parts += lines(message, edition)
    parts.append(f"</{message.root}>")
    return ("\r\n".join(parts) + "\r\n").encode(_CODECS[charset], "replace")
