"""The city's folder: what is where in it, and ``city.toml``."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from city.registry.refused import RegistryRefused
from netconf import durable
from netconf.model import Label, UdpPort

MAX_BYTES = 1 << 16


class Settings(BaseModel):
    """``address`` and ``port`` stand in the bundles; ``also``: what else the server's certificate names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Label
    address: IPv4Address
    port: UdpPort = 8443
    listen: IPv4Address = IPv4Address("0.0.0.0")  # noqa: S104
    database: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """Where things are."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "city.toml"

    @property
    def signing(self) -> Path:
        return self.path / "signing"

    @property
    def marks(self) -> Path:
        return self.signing / "marks.sqlite"

    @property
    def server(self) -> Path:
        return self.path / "server"

    @property
    def socket(self) -> Path:
        return self.path / "socket" / "sign.sock"

    @property
    def data(self) -> Path:
        return self.path / "data"

    def database(self, settings: Settings) -> str:
        return settings.database or f"sqlite:///{self.data.resolve() / 'city.sqlite'}"


def read(folder: Folder) -> Settings:
    """Return what ``city.toml`` says.

    Raises:
        RegistryRefused: ``city_not_made`` or ``city_settings``.
    """
    try:
        return Settings.model_validate(tomllib.loads(durable.read(folder.settings, MAX_BYTES).decode("utf-8")))
    except FileNotFoundError:
        raise RegistryRefused("city_not_made", folder=folder.path) from None
    except ValidationError as wrong:
        raise RegistryRefused("city_settings", field=wrong.errors()[0]["loc"][0], file=folder.settings) from None
    except (ValueError, OSError):
        raise RegistryRefused("city_settings", field="", file=folder.settings) from None


def write(folder: Folder, settings: Settings) -> None:
    """Keep ``city.toml``; JSON's texts, numbers and lists are TOML's too."""
    said = settings.model_dump(mode="json", exclude_defaults=True)
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in said.items())
    durable.write(folder.settings, text.encode("utf-8"), 0o640)


def give(folder: Folder) -> None:
    """Let what root has made in folders that are another user's be his: the database, the keys.

    Who holds which folder, the machine has laid down before (``systemd/tmpfiles.d``); where all are one user's, nothing
    changes.
    """
    if os.geteuid() != 0:
        return
    for place, mode in ((folder.data, 0o660), (folder.signing, 0o600)):
        owner = place.stat()
        for each in place.iterdir():
            if (each.stat().st_uid, each.stat().st_gid) != (owner.st_uid, owner.st_gid):
                each.chmod(mode if each.suffix != ".pem" else 0o644)
                os.chown(each, owner.st_uid, owner.st_gid)
