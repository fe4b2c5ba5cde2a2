"""Who is connected on either side: there or not, the edition spoken, and what each does otherwise than the standards. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netconf.model import Platform, Right, Site


@dataclass(frozen=True, slots=True)
class Peer:
    """A recorder or a platform; ``edition`` is None as long as nobody has heard it speak, ``deviations`` are (rule, count)."""

    kind: str
    id: str
    address: str
    there: bool
    edition: int | None
    reading: str
    deviations: tuple[tuple[str, int], ...]


def asked_rights(site: Site) -> frozenset[Right]:
    """Return the rights that any platform's layer asks for."""
    return frozenset(right for platform in site.platform for right in platform.rights)


def peers(site: Site, facts: dict[str, Any]) -> tuple[Peer, ...]:
    """Return the platforms and then the recorders, as the two sides' own words tell of them."""
    side, city_side = facts.get("siteside") or {}, facts.get("cityside") or {}
    online, editions, seen = (side.get(name) or {} for name in ("recorders", "editions", "deviations"))
    told = city_side.get("platforms") or {}
    return (
        *(_city(platform, told.get(platform.id) or {}) for platform in site.platform),
        *(
            Peer(
                "recorder",
                recorder.id,
                str(recorder.address),
                bool(online.get(recorder.id)),
                editions.get(recorder.id),
                recorder.reading,
                _counted(seen.get(recorder.id)),
            )
            for recorder in site.recorder
        ),
    )


def _city(platform: Platform, told: dict[str, Any]) -> Peer:
    address = f"{platform.address}:{platform.port}/{platform.transport}"
    counted = _counted((told.get("deviations") or {}).get(platform.id))
    registered = bool(told.get("registered"))
    edition = told.get("edition") if registered else None
    return Peer("city", platform.id, address, registered, edition, platform.reading, counted)


def _counted(seen: Any) -> tuple[tuple[str, int], ...]:
    """The commonest first."""
    pairs = ((str(rule), count) for rule, count in (seen or {}).items() if isinstance(count, int))
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
