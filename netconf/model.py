"""One site: what the owner and the city have configured, typed.

Every field says whose it is (``owner="owner"`` or ``"city"``). The model holds what a field may look like by itself;
what fields must be to each other stands in ``check``. Secrets are not here (``secrets``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import tomllib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from netconf.finding import Finding, finding

MAX_SITE_BYTES = 1 << 20
MAX_RECORDERS = 64
MAX_CHANNELS = 4096
MAX_TUNNELS = 4
MAX_PLATFORMS = 4
MAX_FINDINGS = 200
_OWN_NAMES = ("lo", "all", "default")
#: What a box calls its tunnels before the city has named them: it makes a key for each.
PLANES = ("wg-a", "wg-b")
#: Where the city's monitoring asks, on each tunnel's address (``monitoring``).
METRICS_PORT = 9750
#: Where a concentrator answers a tunnel's probes (``Tunnel.probe``), and where the box sends them from.
PROBE_PORT = 9751
#: The macvlan of a one-arm box; a VLAN's link is called after its number.
ARM_LINK = "arm0"


def _owned(by: Literal["city", "owner"], **rest: Any) -> Any:
    return Field(json_schema_extra={"owner": by}, **rest)


def _key(value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    # wg(8) takes the one canonical spelling only.
    if len(raw) != 32 or base64.b64encode(raw).decode("ascii") != value:
        raise PydanticCustomError("key_form", "key_form")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("label_form", "label_form")
    return value


def _dotted(value: object) -> object:
    if not isinstance(value, str | IPv4Address | IPv4Interface | IPv4Network):
        raise PydanticCustomError("address_form", "address_form")
    return value


def _not_kernels(value: str) -> str:
    # /proc/sys/net/ipv4/conf has a folder for each link, and these.
    if value in _OWN_NAMES:
        raise PydanticCustomError("port_name_form", "port_name_form")
    return value


def _unicast(value: str) -> str:
    if int(value[:2], 16) & 1 or value == "00:00:00:00:00:00":
        raise PydanticCustomError("mac_form", "mac_form")
    return value


def _text(pattern: str, **rest: Any) -> Any:
    return StringConstraints(pattern=pattern, **rest)


_CODE, _DOMAIN, _CIVIL = r"^[0-9]{20}\z", r"^[0-9]{10}\z", r"^[0-9]{2,8}\z"
_MAC, _PORT, _TUNNEL = r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}\z", r"^[a-z][a-z0-9.-]{0,14}\z", r"^[a-z][a-z0-9-]{0,14}\z"
_RANGE, _ENDPOINT = r"^[0-9]{4,5}-[0-9]{4,5}\z", r"^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}\z"

#: What a finding calls a text that does not fit a pattern.
_FORMS = {
    _CODE: "id_form",
    _DOMAIN: "domain_form",
    _CIVIL: "civil_code_form",
    _MAC: "mac_form",
    _PORT: "port_name_form",
    _TUNNEL: "port_name_form",
    _RANGE: "media_ports_form",
    _ENDPOINT: "endpoint_form",
}
#: What a finding calls pydantic's own errors that name no facts.
_CODES = {
    "missing": "field_missing",
    "extra_forbidden": "field_unknown",
    "ip_v4_address": "address_form",
    "ip_v4_interface": "interface_form",
    "ip_v4_network": "network_form",
    "string_too_short": "label_form",
    "string_too_long": "label_form",
    "string_unicode": "label_form",
    "too_short": "list_empty",
} | {form: form for form in ("key_form", "label_form", "address_form", "port_name_form", "mac_form")}
#: How TOML writes what was expected.
_KINDS = {
    "int_type": "1",
    "int_from_float": "1",
    "float_type": "0.5",
    "bool_type": "true, false",
    "string_type": '"…"',
    "tuple_type": "[…]",
    "model_type": "[table]",
    "model_attributes_type": "[table]",
}


Code = Annotated[str, _text(_CODE)]
Domain = Annotated[str, _text(_DOMAIN)]
CivilCode = Annotated[str, _text(_CIVIL)]
Mac = Annotated[str, _text(_MAC, to_lower=True), AfterValidator(_unicast)]
PortName = Annotated[str, _text(_PORT), AfterValidator(_not_kernels)]
#: No dot: the name is also its key's file.
TunnelName = Annotated[str, _text(_TUNNEL), AfterValidator(_not_kernels)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
Key = Annotated[str, AfterValidator(_key)]
UdpPort = Annotated[int, Field(ge=1, le=65535, strict=True)]
Address = Annotated[IPv4Address, BeforeValidator(_dotted)]
Interface = Annotated[IPv4Interface, BeforeValidator(_dotted)]
Network = Annotated[IPv4Network, BeforeValidator(_dotted)]
PortRange = Annotated[str, _text(_RANGE)]
Endpoint = Annotated[str, _text(_ENDPOINT)]
#: What the city may be granted at a channel: live pictures, recordings played or fetched, speaking to it, turning it,
#: hearing its alarms (and resetting them), knowing where it is.
Right = Literal["live", "playback", "download", "talk", "ptz", "alarms", "positions"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Identity(_Part):
    """Who the site is to the city."""

    id: Code = _owned("city")
    name: Label = _owned("city")
    civil_code: CivilCode = _owned("city")
    site_class: Literal[1, 2, 3] = _owned("city", alias="class", default=3)


class Uplink(_Part):
    """The port toward the Internet, in ``wan``; ``mode`` names the driver that gives it its address."""

    port: PortName = _owned("owner")
    mac: Mac | None = _owned("owner", default=None)
    mode: Literal["dhcp", "static", "pppoe", "4g"] = _owned("owner", default="static")
    address: Interface | None = _owned("owner", default=None)
    gateway: Address | None = _owned("owner", default=None)
    #: What the line carries toward the Internet; views that would exceed it are refused. Without it nothing is counted.
    mbit_up: int | None = _owned("owner", default=None, ge=1, le=10_000, strict=True)
    ntp: tuple[Address, ...] = _owned("owner", default=(), max_length=4)
    dns: tuple[Address, ...] = _owned("owner", default=(), max_length=4)


class Lan(_Part):
    """The port toward the recorders, in ``lan``.

    ``one_arm``: there is one port for both; ``mac`` is then the hardware address that the box shows to the LAN.
    """

    port: PortName = _owned("owner")
    mode: Literal["two_ports", "one_arm"] = _owned("owner", default="two_ports")
    vlan: int | None = _owned("owner", default=None, ge=1, le=4094, strict=True)
    mac: Mac | None = _owned("owner", default=None)
    address: Interface = _owned("owner")
    owner_networks: tuple[Network, ...] = _owned("owner", default=(), max_length=8)
    sip_port: UdpPort = _owned("owner", default=5060)
    media_ports: PortRange = _owned("owner", default="30000-30999")

    @property
    def arm(self) -> str:
        """The link that stands for the port in ``lan``: the port itself, or its second face."""
        return ARM_LINK if self.mode == "one_arm" else self.port

    @property
    def link(self) -> str:
        """The link in ``lan`` that carries the address."""
        return self.arm if self.vlan is None else f"vlan{self.vlan}"

    @property
    def media_port_range(self) -> range:
        """The ports that recorders may send media to."""
        low, high = self.media_ports.split("-")
        return range(int(low), int(high) + 1)


class Tunnel(_Part):
    """One WireGuard tunnel to the city, in ``vpn``; of several, the first is preferred.

    ``probe``: the concentrator's inner address, which echoes at ``PROBE_PORT``: by it a tunnel is known to carry.
    ``own_key``: the public key that the concentrator expects of this tunnel; it decides when a next key is taken up.
    """

    name: TunnelName = _owned("city")
    address: Interface = _owned("city")
    mtu: int = _owned("city", default=1420, ge=1280, le=9000, strict=True)
    endpoint: Endpoint = _owned("city")
    public_key: Key = _owned("city")
    allowed: tuple[Network, ...] = _owned("city", min_length=1, max_length=16)
    keepalive_seconds: int = _owned("city", default=25, ge=0, le=600, strict=True)
    listen_port: int = _owned("city", default=0, ge=0, le=65535, strict=True)
    probe: Address | None = _owned("city", default=None)
    own_key: Key | None = _owned("city", default=None)

    @property
    def endpoint_host(self) -> str:
        return self.endpoint.rpartition(":")[0]

    @property
    def endpoint_address(self) -> IPv4Address | None:
        """The endpoint if it is written as an address; None of a name, which others must resolve."""
        try:
            return IPv4Address(self.endpoint_host)
        except ValueError:
            return None

    @property
    def endpoint_port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])


class Group(_Part):
    """A business group (215) or, with a parent, a virtual organisation (216) of the city's tree, and its channels.

    ``members`` are issued ids: the city knows no others.
    """

    id: Code = _owned("city")
    name: Label = _owned("city")
    parent: Code | None = _owned("city", default=None)
    members: tuple[Code, ...] = _owned("city", default=(), max_length=MAX_CHANNELS)


class Tree(_Part):
    """What stands above the channels in the catalog upward: some platforms need it, others choke on it."""

    system: bool = _owned("city", default=False, strict=True)
    groups: bool = _owned("city", default=False, strict=True)
    divisions: bool = _owned("city", default=False, strict=True)
    division_name: Label | None = _owned("city", default=None)
    group: tuple[Group, ...] = Field(default=(), max_length=256)


class Server(_Part):
    """Where a platform may send us to with a 302 (GB/T 28181-2022 9.1.2.3); to no other place do we go."""

    address: Address = _owned("city")
    port: UdpPort = _owned("city", default=5060)


class Platform(_Part):
    """One GB/T 28181 platform above the site, and what the city's layer grants it.

    Most sites have one; a police platform beside the city's is a second. They share nothing: each has its own
    registration, rights, tree and local port. ``known_as`` is the id that this one knows the site by, if it is another.
    """

    id: Code = _owned("city")
    known_as: Code | None = _owned("city", default=None)
    domain: Domain = _owned("city")
    realm: Label | None = _owned("city", default=None)
    address: Address = _owned("city")
    port: UdpPort = _owned("city", default=5060)
    local_port: UdpPort = _owned("city", default=5060)
    transport: Literal["udp", "tcp"] = _owned("city", default="tcp")
    edition: Literal[2016, 2022] = _owned("city", default=2016)
    media_networks: tuple[Network, ...] = _owned("city", min_length=1, max_length=16)
    register_expires_seconds: int = _owned("city", default=3600, ge=60, le=604800, strict=True)
    keepalive_seconds: int = _owned("city", default=60, ge=5, le=3600, strict=True)
    rights: tuple[Right, ...] = _owned("city", default=(), max_length=7)
    #: How messages are encoded to this platform; without it GB2312 for 2016 and GB18030 for 2022.
    charset: Literal["GB2312", "GB18030", "UTF-8"] | None = _owned("city", default=None)
    reading: Literal["lenient", "strict"] = _owned("city", default="lenient")
    redirect: tuple[Server, ...] = Field(default=(), max_length=4)
    tree: Tree = Tree()


class Control(_Part):
    """Where the city's fleet control answers, through the tunnel, and how long its changes wait for its word."""

    address: Address = _owned("city")
    port: UdpPort = _owned("city", default=8443)
    interval_seconds: int = _owned("city", default=60, ge=2, le=3600, strict=True)
    confirm_seconds: int = _owned("city", default=90, ge=10, le=110, strict=True)


class Metrics(_Part):
    """Whether the owner's networks may read figures of the box at ``/metrics`` of its page, without a password."""

    site: bool = _owned("owner", default=False, strict=True)


class Monitoring(_Part):
    """Who in the city may read the same figures through the tunnel, at ``METRICS_PORT``."""

    readers: tuple[Address, ...] = _owned("city", default=(), max_length=8)


class Recorder(_Part):
    """One recorder of the owner. ``media``: how its pictures come; by TCP it dials us (passive) or we dial it (active).

    ``stream_attribute``: how it is told which stream of a camera is wanted, if a camera has two (``docs/media.md``).
    """

    id: Code = _owned("owner")
    kind: Literal["gb28181", "onvif", "rtsp"] = _owned("owner", default="gb28181")
    address: Address = _owned("owner")
    port: UdpPort = _owned("owner", default=5060)
    mac: Mac = _owned("owner")
    media_addresses: tuple[Address, ...] = _owned("owner", min_length=1, max_length=4)
    media: Literal["udp", "tcp_passive", "tcp_active"] = _owned("owner", default="udp")
    reading: Literal["lenient", "strict"] = _owned("owner", default="lenient")
    stream_attribute: Literal["streamnumber", "streamprofile", "stream", "streamMode"] = _owned(
        "owner", default="streamnumber"
    )


class Channel(_Part):
    """One camera of a recorder. ``coverage``: A 行政公共区域, B 单位内部 (never shared), C 单位内部及临街公共场所.

    ``allow``: what the owner lets the city do with it, as far as its own layer grants it (``platform.rights``).
    ``mbit``: the bit rate that its encoder is set to; what comes faster than a fifth above it is dropped.
    ``sub_stream``: whether the recorder gives a smaller second stream of it, at ``sub_mbit``.
    """

    recorder: Code = _owned("owner")
    id: Code = _owned("owner")
    name: Label = _owned("owner")
    coverage: Literal["A", "B", "C"] = _owned("owner")
    share: bool = _owned("owner", default=False, strict=True)
    allow: tuple[Right, ...] = _owned("owner", default=("live",), max_length=7)
    mbit: int = _owned("owner", default=8, ge=1, le=16, strict=True)
    sub_stream: bool = _owned("owner", default=False, strict=True)
    sub_mbit: float = _owned("owner", default=1.0, ge=0.1, le=16, strict=True)

    def rate(self, stream: int) -> float:
        """Return what a stream's encoder is set to, in Mbit/s; 0 is the main stream."""
        return self.sub_mbit if stream else self.mbit


class Site(_Part):
    """The whole configuration of one box.

    Before a city knows it there is the owner's part alone: no ``site``, no tunnel, no platform (``enrolled``).
    """

    site: Identity | None = None
    uplink: Uplink
    lan: Lan
    tunnel: tuple[Tunnel, ...] = Field(default=(), max_length=MAX_TUNNELS)
    platform: tuple[Platform, ...] = Field(default=(), max_length=MAX_PLATFORMS)
    control: Control | None = None
    metrics: Metrics = Metrics()
    monitoring: Monitoring = Monitoring()
    recorder: tuple[Recorder, ...] = Field(default=(), max_length=MAX_RECORDERS)
    channel: tuple[Channel, ...] = Field(default=(), max_length=MAX_CHANNELS)
    max_calls: int = _owned("owner", default=64, ge=1, le=1024, strict=True)

    @property
    def enrolled(self) -> bool:
        """Whether there is the city's part; ``check`` sees to it that it is whole or not there at all."""
        return self.site is not None

    @property
    def identity(self) -> Identity:
        """Who the site is to its city; nobody asks this of one that is not enrolled."""
        assert self.site is not None  # asked for nothing but an enrolled site
        return self.site

    @property
    def one_wire(self) -> bool:
        """Whether LAN and uplink are one broadcast domain: one port, and no VLAN that tells them apart."""
        return self.lan.mode == "one_arm" and self.lan.vlan is None

    @property
    def spoken_to(self) -> frozenset[str]:
        """The recorders that sound may go to: a platform has the right, and the owner allows it at a shared channel."""
        if not any("talk" in platform.rights for platform in self.platform):
            return frozenset()
        return frozenset(channel.recorder for channel in self.channel if channel.share and "talk" in channel.allow)

    @property
    def arm_mac(self) -> Mac:
        """The hardware address of a one-arm box in the LAN: the same after every start, and locally administered.

        Before the box has a site's id it is made of what no other host of the LAN has, its address.
        """
        if self.lan.mac is not None:
            return self.lan.mac
        own = self.site.id if self.site is not None else f"{self.lan.address} {self.uplink.mac or ''}"
        return "02:" + hashlib.sha256(own.encode("ascii")).digest()[:5].hex(":")


def parse(text: str) -> tuple[Site | None, tuple[Finding, ...]]:
    """Return the site that a TOML text says, or everything that is wrong with its single fields, all at once."""
    if len(text.encode("utf-8", "replace")) > MAX_SITE_BYTES:
        return None, (finding("file_too_long", most=MAX_SITE_BYTES),)
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as wrong:
        return None, (finding("file_syntax", what=wrong),)
    return validate(raw)


def validate(raw: dict[str, Any]) -> tuple[Site | None, tuple[Finding, ...]]:
    """Return the site that a parsed document says, or everything that is wrong with its single fields."""
    try:
        return Site.model_validate(raw), ()
    except ValidationError as wrong:
        errors = [dict(error) for error in wrong.errors(include_url=False, include_input=False)]
    return None, tuple(_translate(error) for error in errors if not _follows(error, errors))[:MAX_FINDINGS]


def _follows(error: dict[str, Any], errors: list[dict[str, Any]]) -> bool:
    """A list whose only entry is wrong is also told to be empty: that is no second fault."""
    place = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in errors
    )


def _translate(error: dict[str, Any]) -> Finding:
    path = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error["loc"])
    kind, facts = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return finding(_FORMS[facts["pattern"]], path)
    if kind in _CODES:
        return finding(_CODES[kind], path)
    if kind in _KINDS:
        return finding("field_kind", path, expected=_KINDS[kind])
    if kind == "literal_error":
        return finding("field_choice", path, expected=facts["expected"].replace(" or ", ", "))
    if kind == "greater_than_equal":
        return finding("number_low", path, least=facts["ge"])
    if kind == "less_than_equal":
        return finding("number_high", path, most=facts["le"])
    if kind == "too_long":
        return finding("list_long", path, most=facts["max_length"])
    return finding("field_value", path, what=error["msg"])
