"""What the signing process does with a request: judge it again by itself, then sign. The socket is ``process``'s.

Whoever asks is the registry, which may have been taken over. It can then ask for what it could have asked for anyway, but
not for a layer that holds the owner's parts, opens everything or is older than another; not for a concentrator that sends
one site's packets to another; not for a certificate that says anything but a site, a concentrator or a server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from city.signing import certificates, requests, secrets
from city.signing.keys import BACKDATED, Keys, keep, renew, switch
from city.signing.marks import Marks
from netconf import envelope, layers
from netconf.check import check
from netconf.finding import Finding, Severity, finding
from netconf.model import validate

#: The owner's parts that a layer is looked at with. They are nobody's (loopback): what is found in them, or between them
#: and the city's networks, is let be.
_SOMEBODY: Mapping[str, Any] = {
    "uplink": {"port": "wan0", "mode": "dhcp"},
    "lan": {"port": "lan0", "address": "127.0.0.1/30"},
}


#: Revoked sites in one answer; and how far an epoch may jump: a registry that was taken over shall not use them all up.
MOST_REVOKED, MOST_EPOCHS = 1000, 1000
#: A fresh CA makes nothing before every server of the city has heard of it.
OVERLAP_SECONDS = 600.0


class _Refused(ValueError):
    def __init__(self, rule: str, **args: object) -> None:
        super().__init__(rule)
        self.rule, self.args_ = (
            rule,
            {name: value if isinstance(value, int) else str(value) for name, value in args.items()},
        )


class Service:
    """Answers requests. ``clock`` gives seconds since 1970, ``chance`` octets that nobody can guess; ``folder``: where
    keys that change are kept, None: nowhere."""

    def __init__(
        self,
        keys: Keys,
        marks: Marks,
        clock: Callable[[], float],
        chance: Callable[[int], bytes],
        folder: Path | None = None,
    ) -> None:
        self._folder, self._changing = folder, threading.Lock()
        self._keys, self._marks, self._clock, self._chance = keys, marks, clock, chance

    def alive(self) -> None:
        """Look up what most answers rest on; returns when others would be answered, too."""
        self._marks.highest("")

    def answer(self, request: object) -> dict[str, Any]:
        """Return ``{"done": …}``, or ``{"rule": code, "args": {…}}`` of what is refused."""
        try:
            return {"done": self._done(requests.REQUEST.validate_python(request))}
        except ValidationError as wrong:
            error = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
            place = "/".join(str(step) for step in error["loc"])
            return {"rule": "sign_fields", "args": {"place": place, "what": error["type"]}}
        except _Refused as refused:
            return {"rule": refused.rule, "args": refused.args_}

    def _done(self, request: requests.Request) -> Any:
        match request:
            case requests.WhoAreYou():
                return self._identity()
            case requests.RenewCA():
                return self._renew()
            case requests.SwitchCA():
                return self._switch()
            case requests.SignLayer():
                return self._layer(request.payload)
            case requests.Highest():
                return list(self._marks.highest(request.site))
            case requests.Standing():
                return {"epoch": self._marks.epoch(), "revoked": self._marks.revoked(request.after, MOST_REVOKED)}
            case requests.Addresses():
                return {str(network): self._highest_given(network) for network in request.networks}
            case requests.SignAnswer():
                self._alive(request.payload.site)
                return self._sign("answer", request.payload.model_dump())
            case requests.SignRevocation():
                text = self._sign("revocation", request.payload.model_dump())
                self._marks.revoke(request.payload.site, request.payload.at)
                return text
            case requests.SignPeers():
                return self._peers(request.payload)
            case requests.Certify():
                return self._certify(request)
            case requests.Seal():
                return self._seal(request)

    def _identity(self) -> dict[str, Any]:
        keys = self._keys
        said: dict[str, Any] = {"ca": keys.ca_pem, "ca_hash": keys.ca_hash, "city_key": keys.city_key}
        said["trusted"], said["begun"] = list(keys.trusted), keys.beside_key is not None
        payload = {"sequence": keys.youngest, "certificates": sorted(keys.trusted)}
        return said | {"authority": envelope.sign("authority", payload, keys.city) if keys.renewals else ""}

    def _renew(self) -> dict[str, Any]:
        with self._changing:
            self._change(renew(self._keys, self._clock(), self._chance))
        return self._identity()

    def _switch(self) -> dict[str, Any]:
        with self._changing:
            keys = self._keys
            if keys.beside is None or keys.beside_key is None:
                raise _Refused("ca_not_begun")
            begun = (keys.beside.not_valid_before_utc + BACKDATED).timestamp()
            if self._clock() < begun + OVERLAP_SECONDS:
                raise _Refused("ca_too_soon", minutes=int(OVERLAP_SECONDS // 60))
            self._change(switch(keys))
        return self._identity()

    def _change(self, keys: Keys) -> None:
        if keys is not self._keys and self._folder is not None:
            keep(self._folder, keys)
        self._keys = keys

    def _sign(self, purpose: str, payload: dict[str, Any], most: int = envelope.MAX_ENVELOPE_BYTES) -> str:
        text = envelope.sign(purpose, payload, self._keys.city)
        if len(text) > most:
            raise _Refused("sign_long")
        return text

    def _alive(self, site: str) -> None:
        if self._marks.is_revoked(site):
            raise _Refused("sign_revoked", site=site)

    def _epoch(self, epoch: int) -> None:
        """Of two registries only the one whose epoch is the highest has anything signed."""
        highest = self._marks.epoch()
        if epoch < highest:
            raise _Refused("sign_epoch_old", epoch=epoch, highest=highest)
        if epoch > highest + MOST_EPOCHS:
            raise _Refused("sign_epoch_far", epoch=epoch, highest=highest)
        self._marks.rise_epoch(epoch)

    def _layer(self, asked: requests.LayerPayload) -> str:
        self._alive(asked.site)
        for found in judged(asked.site, asked.layer):
            raise _Refused("sign_layer_unfit", place=found.path, what=found.code)
        payload = asked.model_dump(exclude={"sealed"} if not asked.sealed else set())
        text = self._sign("layer", payload)
        if (asked.epoch, asked.revision) > self._marks.highest(asked.site):
            self._epoch(asked.epoch)
        # What is kept before it is told may be a number that no box sees; the other way round were two layers of one.
        if not self._marks.rise(asked.site, asked.epoch, asked.revision):
            epoch, revision = self._marks.highest(asked.site)
            raise _Refused("sign_old", epoch=epoch, revision=revision)
        self._marks.give(int(IPv4Interface(tunnel["address"])) for tunnel in asked.layer.get("tunnel", ()))
        return text

    def _peers(self, asked: requests.PeersPayload) -> str:
        keys: dict[str, str] = {}
        addresses: dict[str, str] = {}
        for peer in asked.peers:
            if peer.gone:
                continue
            self._alive(peer.site)
            if peer.public_key is None:
                raise _Refused("sign_fields", place="peers/public_key", what="missing")
            if not peer.allowed or any(network.prefixlen != 32 for network in peer.allowed):
                raise _Refused("sign_peer_wide", site=peer.site)
            for owned, thing in ((keys, peer.public_key), *((addresses, str(network)) for network in peer.allowed)):
                # One site may have two keys for one address while its key is being changed, never two sites.
                if owned.setdefault(thing, peer.site) != peer.site:
                    raise _Refused("sign_peer_twice", site=peer.site, other=owned[thing])
        self._epoch(asked.epoch)
        payload = asked.model_dump(mode="json", exclude={"peers"}, exclude_unset=True)
        payload["peers"] = [peer.model_dump(mode="json", exclude_unset=True) for peer in asked.peers]
        text = self._sign("peers", payload, envelope.MAX_PEERS_BYTES)
        self._marks.give(
            int(network.network_address) for peer in asked.peers if not peer.gone for network in peer.allowed
        )
        return text

    def _highest_given(self, network: IPv4Network) -> str | None:
        highest = self._marks.highest_given(int(network.network_address), int(network.broadcast_address))
        return str(IPv4Address(highest)) if highest is not None else None

    def _certify(self, asked: requests.Certify) -> str:
        self._alive(asked.subject.removeprefix("site:"))
        try:
            number = int.from_bytes(self._chance(16), "big") >> 1 | 1
            return certificates.certify(self._keys, asked, self._clock(), number)
        except certificates.NotCertified as wrong:
            raise _Refused(wrong.rule) from None

    def _seal(self, asked: requests.Seal) -> dict[str, Any]:
        try:
            return secrets.seal(asked, self._chance)
        except secrets.NoKey:
            raise _Refused("sign_key_form") from None


def judged(site: str, layer: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return what is wrong with a city's layer of a site, whatever its owner may have settled."""
    foreign = layers.foreign(layer, "city")
    if foreign:
        return foreign
    whole, wrong = validate(dict(layer) | dict(_SOMEBODY))
    if whole is None:
        return wrong
    identity = whole.site
    if identity is None or identity.id != site:
        return (finding("layer_other_site", "/site/id"),)
    return tuple(
        found
        for found in check(whole)
        if found.severity is Severity.ERROR
        and found.code != "networks_overlap"
        and not found.path.startswith(("/lan", "/uplink"))
    )
