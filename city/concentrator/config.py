"""A concentrator's own file: what it knows of itself, whoever says otherwise.

id = "hub-a"
device = "wg-hub"                  # and a 0 or 1 after it
network = "100.64.0.0/18"          # its sites' addresses
address = "100.64.0.1"             # its own inner address; the probe's echo
port = 51820
folder = "/etc/snowgate/concentrator"   # its keys, ca.pem, certificate.pem, city.pub
state = "/var/lib/snowgate/concentrator"

[registry]
address = "10.0.0.5"
port = 8443

[[city]]                           # what sites may reach, and what may reach them
network = "10.1.0.0/24"
tcp = ["5060"]
udp = ["5060", "30000-39999"]
"""

from __future__ import annotations

import re
import tomllib
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from netconf import durable
from netconf.finding import Finding, finding

MAX_CONFIG_BYTES = 1 << 16
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


def _ports(text: str) -> str:
    found = _PORTS.fullmatch(text)
    numbers = [int(part) for part in found.groups() if part] if found else []
    if not numbers or not all(1 <= number <= 65535 for number in numbers) or numbers != sorted(numbers):
        raise ValueError("a port or two with - between them")
    return text


Ports = Annotated[str, AfterValidator(_ports)]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Service(_Part):
    """A network of the city; without a port it is all of it."""

    network: IPv4Network
    tcp: tuple[Ports, ...] = Field(default=(), max_length=16)
    udp: tuple[Ports, ...] = Field(default=(), max_length=16)


class Registry(_Part):
    """Where the registry answers; its certificate must be the city's own CA's, for this address or ``name``."""

    address: str = Field(min_length=1, max_length=253)
    port: int = Field(default=8443, ge=1, le=65535)


class Config(_Part):
    """The whole file."""

    id: Name
    device: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,13}$")] = "wg-hub"
    network: IPv4Network
    network6: IPv6Network | None = None
    address: IPv4Address
    ports: tuple[Port, Port] = (51820, 51821)
    mtu: int = Field(default=1420, ge=1280, le=9000)
    #: How often the devices are compared with what they should be, and how often the registry hears of us.
    compare_seconds: int = Field(default=60, ge=2, le=60)
    report_seconds: int = Field(default=60, ge=2, le=60)
    folder: Path
    state: Path
    registry: Registry
    city: tuple[Service, ...] = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _inside(self) -> Config:
        if self.address not in self.network:
            raise ValueError("the address is not of the network")
        if self.ports[0] == self.ports[1]:
            raise ValueError("two keys need two ports")
        if any(service.network.overlaps(self.network) for service in self.city):
            raise ValueError("a city's network reaches into the sites'")
        return self


def read(path: Path) -> tuple[Config | None, tuple[Finding, ...]]:
    """Return the configuration at ``path``, or everything that is wrong with it."""
    try:
        raw: dict[str, Any] = tomllib.loads(durable.read(path, MAX_CONFIG_BYTES).decode("utf-8"))
    except (OSError, ValueError) as wrong:
        return None, (finding("hub_config_unreadable", file=path, trouble=wrong),)
    try:
        return Config.model_validate(raw), ()
    except ValidationError as wrong:
        return None, tuple(
            finding("hub_config_field", "/" + "/".join(map(str, each["loc"])), trouble=each["msg"])
            for each in wrong.errors(include_url=False, include_input=False)
        )
