"""The closed list of what may be asked of the signing process, as it stands on its socket: one JSON object a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from netconf.envelope import MAX_NUMBER, MAX_PEERS_BYTES
from netconf.model import MAX_PLATFORMS, MAX_TUNNELS, Code, Key, Network, TunnelName
from netconf.sealed import MAX_SEALED_BYTES

MAX_REQUEST_BYTES = MAX_PEERS_BYTES
MAX_PEERS = 65_536
MAX_NETWORKS = 1024
MAX_REASON_CHARACTERS = 500

Number = Annotated[int, Field(ge=0, le=MAX_NUMBER, strict=True)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\z")]
Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_=+/-]{1,128}\z")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
SealText = Annotated[str, StringConstraints(max_length=MAX_SEALED_BYTES)]
#: A P-256 key (DER, base64).
SealKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{80,240}={0,2}\z")]
Subject = Annotated[
    str, StringConstraints(pattern=r"^(site:[0-9]{20}|concentrator:[A-Za-z0-9][A-Za-z0-9._-]{0,63}|server)\z")
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LayerPayload(_Part):
    """``netconf.envelope``'s "layer"."""

    site: Code
    device: Hash
    epoch: Number
    revision: Number
    not_after: Number
    layer: dict[str, Any]
    sealed: SealText = ""


class AnswerPayload(_Part):
    """``netconf.envelope``'s "answer"."""

    site: Code
    device: Hash
    nonce: Nonce


class RevocationPayload(_Part):
    """``netconf.envelope``'s "revocation"."""

    site: Code
    device: Hash
    epoch: Number
    at: Number
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON_CHARACTERS)]


class PeerEntry(_Part):
    """One peer of a concentrator; of one that is ``gone`` the site is enough. ``reset``: take it off and on again."""

    site: Code
    public_key: Key | None = None
    allowed: tuple[Network, ...] = Field(default=(), max_length=4)
    psk: SealText = ""
    revision: Number = 0
    gone: bool = Field(default=False, strict=True)
    reset: bool = Field(default=False, strict=True)


class PeersPayload(_Part):
    """``netconf.envelope``'s "peers"."""

    concentrator: Name
    epoch: Number
    kind: Literal["snapshot", "changes"]
    first: Number
    revision: Number
    peers: tuple[PeerEntry, ...] = Field(max_length=MAX_PEERS)
    smaller: bool = Field(default=False, strict=True)


class WhoAreYou(_Part):
    ask: Literal["identity"]


class RenewCA(_Part):
    """A fresh CA beside the one of the moment."""

    ask: Literal["renew-ca"]


class SwitchCA(_Part):
    """The one beside in the place of the one of the moment."""

    ask: Literal["switch-ca"]


class SignLayer(_Part):
    ask: Literal["layer"]
    payload: LayerPayload


class Highest(_Part):
    ask: Literal["highest"]
    site: Code


class SignAnswer(_Part):
    ask: Literal["answer"]
    payload: AnswerPayload


class SignRevocation(_Part):
    ask: Literal["revocation"]
    payload: RevocationPayload


class SignPeers(_Part):
    ask: Literal["peers"]
    payload: PeersPayload


class Certify(_Part):
    """``days`` is bounded by the subject's profile."""

    ask: Literal["certify"]
    csr: Annotated[str, StringConstraints(max_length=4096)]
    subject: Subject
    days: Annotated[int, Field(ge=1, le=398, strict=True)]
    names: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}\z")], ...] = Field(
        default=(), max_length=8
    )


class Standing(_Part):
    """How high the epoch is, and up to a thousand revoked sites after one."""

    ask: Literal["standing"]
    after: Annotated[str, StringConstraints(pattern=r"^([0-9]{20})?\z")] = ""


class Addresses(_Part):
    """The highest address of each network that is or was some site's."""

    ask: Literal["addresses"]
    networks: tuple[Network, ...] = Field(max_length=MAX_NETWORKS)


class Seal(_Part):
    ask: Literal["seal"]
    site: Code
    device_key: SealKey
    hubs: dict[TunnelName, SealKey] = Field(default={}, max_length=MAX_TUNNELS)
    platforms: dict[Code, SealKey | None] = Field(default={}, max_length=MAX_PLATFORMS)


Request = Annotated[
    WhoAreYou
    | RenewCA
    | SwitchCA
    | SignLayer
    | Highest
    | SignAnswer
    | SignRevocation
    | SignPeers
    | Certify
    | Standing
    | Addresses
    | Seal,
    Field(discriminator="ask"),
]
REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
