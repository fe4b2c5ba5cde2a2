"""The cause of each trouble, one a trouble, causes before what follows from them; pure.

What is hidden by another finding is not said: no registration without a tunnel, no view of a recorder that is away.
A trouble of a view is said for ``FRESH_SECONDS``, and no longer once a picture came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge.faults.evidence import Dropped, Evidence, Offer, Recorder, Registration, View
from netconf.finding import Finding, Severity, finding

#: WireGuard shakes hands every two minutes while its keepalive runs; after three it fails.
OLD_HANDSHAKE_SECONDS = 180
#: Shorter, and who is called because there is no picture finds nothing; longer, and he reads of what is over.
FRESH_SECONDS = 1800.0
#: One keepalive is lost now and then; at the third the platform is taken as gone.
MOST_MISSED = 2
#: A host sends ICMP errors about one peer in a burst of six and then one a second (Linux): a city that closes its port a
#: moment before it hangs up causes a burst, one that never listened many more. A view that flows now needs no such count.
#: Nobody tells whether the city took the pictures of the next view: two minutes later the refusals of the last are old.
MANY_REFUSALS, LATELY_SECONDS, OLD_REFUSAL_SECONDS = 8, 10, 120
#: What was dropped this long before a view failed was still its own.
VIEW_SECONDS = 20
_KINDS = {0: "G.711 u", 8: "G.711 A", 96: "PS", 97: "MPEG-4", 98: "H.264", 99: "SVAC", 100: "H.265"}
_FORMS = {"ps": "PS", "h264": "H.264", "h265": "H.265"}
#: Where on the picture's path a cause lies: recorders, tunnel or city.
STAGES = {
    "clock_behind": "tunnel",
    "tunnel_never": "tunnel",
    "tunnel_old": "tunnel",
    "tunnel_dead": "tunnel",
    "city_port_refused": "city",
    "city_port_silent": "city",
    "city_register_unanswered": "city",
    "city_password_refused": "city",
    "city_realm_other": "city",
    "city_id_refused": "city",
    "city_registration_refused": "city",
    "city_keepalive_unanswered": "city",
    "city_not_registered": "city",
    "offer_address_unusable": "city",
    "offer_address_foreign": "city",
    "offer_not_carried": "city",
    "offer_encoding_not_carried": "city",
    "right_not_of_city": "city",
    "right_not_of_owner": "city",
    "city_refuses_media": "city",
    "recorder_silent": "recorders",
    "recorder_gone": "recorders",
    "recorder_password_wrong": "recorders",
    "recorder_address_other": "recorders",
    "recorder_id_other": "recorders",
    "recorder_hardware_other": "recorders",
    "recorder_busy": "recorders",
    "recorder_refuses_offer": "recorders",
    "recorder_refuses_view": "recorders",
    "recorder_ignores_view": "recorders",
    "answer_address_foreign": "recorders",
    "answer_not_carried": "recorders",
    "answer_encoding_not_carried": "recorders",
    "answer_format_not_offered": "recorders",
    "camera_off": "recorders",
    "recorder_sends_nothing": "recorders",
    "recorder_sends_from_elsewhere": "recorders",
    "recorder_sends_other_media": "recorders",
    "recorder_sends_fragments": "recorders",
    "recorder_sends_no_ps": "recorders",
    "recorder_sends_no_es": "recorders",
    "recorder_stopped_sending": "recorders",
}


def causes(evidence: Evidence) -> tuple[Finding, ...]:
    """Return the cause of every trouble that there is."""
    tunnels = tuple(_tunnels(evidence))
    # Without the keeper nobody knows of the tunnel, and it is what a registration fails by most.
    dark = evidence.tunnels is None or (bool(tunnels) and len(tunnels) >= len(evidence.tunnels))
    registrations = () if dark else tuple(f for r in evidence.registrations for f in _registration(r, evidence))
    away = {recorder.id for recorder in evidence.recorders if not recorder.online}
    recorders = tuple(_recorder(recorder, evidence) for recorder in evidence.recorders if recorder.id in away)
    views = tuple(
        f for v in evidence.views if v.recorder not in away and _fresh(v.at, evidence) for f in _view(v, evidence)
    )
    offers = tuple(f for offer in evidence.offers if _fresh(offer.at, evidence) for f in _offer(offer))
    refused = () if dark else tuple(_refusals(evidence))
    return (*tunnels, *_unanswered(evidence), *registrations, *recorders, *offers, *views, *refused)


def _fresh(at: float, evidence: Evidence) -> bool:
    return evidence.now - at < FRESH_SECONDS


# -- the tunnel and the registration ---------------------------------------------------------------------------------


def _tunnels(evidence: Evidence) -> Iterator[Finding]:
    for tunnel in evidence.tunnels or ():
        facts: dict[str, Any] = {"name": tunnel.name, "endpoint": tunnel.endpoint, "sent": tunnel.sent_bytes}
        if tunnel.age_seconds is not None and tunnel.age_seconds <= OLD_HANDSHAKE_SECONDS:
            continue
        if evidence.clock_behind:
            # The city's end takes no handshake that is older than the last one (WireGuard 5.1).
            yield _wrong("clock_behind")
        elif tunnel.age_seconds is None:
            yield _wrong("tunnel_never", received=tunnel.received_bytes, **facts)
        else:
            yield _wrong("tunnel_old", seconds=tunnel.age_seconds, **facts)


def _unanswered(evidence: Evidence) -> Iterator[Finding]:
    """A concentrator that does not echo hides nothing: its tunnel may carry all the same."""
    for tunnel in evidence.tunnels or ():
        shaken = tunnel.age_seconds is not None and tunnel.age_seconds <= OLD_HANDSHAKE_SECONDS
        if shaken and tunnel.state == "dead":
            yield _said("tunnel_dead", name=tunnel.name, seconds=tunnel.unanswered_seconds, used=evidence.used or "?")


def _registration(held: Registration, evidence: Evidence) -> Iterator[Finding]:
    cause = held.cause
    server: dict[str, Any] = {"server": held.server, "tries": held.tries}
    by_keepalive = cause.startswith("keepalive")
    if held.registered:
        if held.missed >= MOST_MISSED or (by_keepalive and _fresh(held.lost_at, evidence)):
            yield _said("city_keepalive_unanswered", server=held.server,
                          missed=max(held.missed, 1), answer=_status(cause))  # fmt: skip
        return
    host, _, rest = held.server.partition(":")
    icmp = any((d.address, str(d.port)) == (host, rest.partition("/")[0]) for d in evidence.refusals)
    if held.answers_refused and cause in ("status_401", "status_403"):
        yield _wrong("city_password_refused", id=held.id, status=_status(cause), **server)
    elif cause == "dial_refused" or (cause == "no_answer" and icmp):
        yield _wrong("city_port_refused", **server)
    elif cause in ("dial_silent", "dial_no_road"):
        yield _wrong("city_port_silent", **server)
    elif cause == "no_answer":
        yield _wrong("city_register_unanswered", id=held.id, **server)
    elif cause == "digest_realm":
        yield _wrong("city_realm_other", asked=held.about, **server)
    elif cause in ("status_403", "status_404"):
        yield _wrong("city_id_refused", id=held.id, status=_status(cause), phrase=held.about, **server)
    elif cause.startswith(("status_", "digest_")):
        yield _wrong("city_registration_refused", id=held.id, status=_status(cause), phrase=held.about, **server)
    elif by_keepalive:
        yield _wrong("city_keepalive_unanswered", server=held.server, missed=3, answer=_status(cause))
    else:
        yield _wrong("city_not_registered", **server)


def _status(cause: str) -> str:
    """The status in a cause like ``status_403``; a dash when nothing was answered."""
    return cause.rpartition("_")[2] if cause[-3:].isdigit() else "-"


# -- recorders and their views ---------------------------------------------------------------------------------------


def _recorder(recorder: Recorder, evidence: Evidence) -> Finding:
    name, rule = recorder.id, recorder.rule
    agreed = recorder.agreed
    moved = next((a for mac, a in evidence.moved if mac == recorder.mac and a not in (agreed, "0.0.0.0")), None)  # noqa: S104
    other = next((mac for mac, a in evidence.moved if a == agreed and mac != recorder.mac), None)
    if rule in ("wrong_password", "digest_malformed"):
        return _wrong("recorder_password_wrong", name=name, source=recorder.source)
    if rule == "unknown_device":
        return _wrong("recorder_id_other", name=name, source=recorder.source, said=recorder.said_id)
    if rule == "unknown_address" or moved:
        return _wrong("recorder_address_other", name=name, source=moved or recorder.source, agreed=agreed)
    if other:
        return _wrong("recorder_hardware_other", name=name, other=other, mac=recorder.mac, agreed=agreed)
    if rule.startswith("lost_"):
        return _wrong("recorder_gone", name=name, how=rule.removeprefix("lost_"))
    return _wrong("recorder_silent", name=name, agreed=agreed)


def _view(view: View, evidence: Evidence) -> Iterator[Finding]:
    """Return why a view shows nothing: by what the recorder answered, and then by what its packets looked like."""
    about: dict[str, Any] = {"recorder": view.recorder, "channel": view.channel}
    agreed = ", ".join(view.agreed)
    if view.reason == "recorder_refused":
        code = {
            486: "recorder_busy",
            600: "recorder_busy",
            415: "recorder_refuses_offer",
            488: "recorder_refuses_offer",
        }
        refusal = "recorder_ignores_view" if view.status == 408 else code.get(view.status, "recorder_refuses_view")
        yield _said(refusal, status=view.status, phrase=view.about, **about)
    elif view.reason == "recorder_no_answer":
        yield _said("recorder_ignores_view", status=408, phrase="", **about)
    elif view.reason == "media_address_foreign":
        yield _said("answer_address_foreign", address=view.about, agreed=agreed, **about)
    elif view.reason == "answer_refused" and view.about.startswith("IN "):
        yield _said("answer_address_foreign", address=view.about.rpartition(" ")[2], agreed=agreed, **about)
    elif view.reason in ("answer_refused", "sdp_unacceptable"):
        yield _said("answer_not_carried", answered=view.about, **about)
    elif view.reason == "encoding_not_carried":
        yield _said("answer_encoding_not_carried", encoding=view.about, **about)
    elif view.reason == "format_not_offered":
        yield _said("answer_format_not_offered", form=_form(view), **about)
    elif view.reason == "media_foreign" and view.form == "ps":
        yield _said("recorder_sends_no_ps", port=view.port, **about)
    elif view.reason == "media_foreign":
        yield _said("recorder_sends_no_es", port=view.port, form=_form(view), **about)
    elif view.reason == "media_stopped":
        yield _said("recorder_stopped_sending", port=view.port, **about)
    elif view.reason == "no_media":
        yield _no_media(view, evidence, about | {"port": view.port, "agreed": agreed})


def _form(view: View) -> str:
    return _FORMS.get(view.form, view.form)


def _no_media(view: View, evidence: Evidence, about: dict[str, Any]) -> Finding:
    since = evidence.now - view.at + VIEW_SECONDS
    strays = [stray for stray in evidence.strays if stray.port == view.port and stray.seconds <= since]
    foreign = next((stray for stray in strays if stray.address not in view.agreed), None)
    other = next((stray for stray in strays if stray.address in view.agreed and stray.kind != view.kind), None)
    split = next((d for d in evidence.fragments if d.address in view.agreed and d.seconds <= since), None)
    if foreign is not None:
        return _said("recorder_sends_from_elsewhere", address=foreign.address, packets=foreign.packets, **about)
    if other is not None:
        kind = f"{other.kind} {_KINDS.get(other.kind, '')}".strip()
        wanted = f"{view.kind} ({_form(view)})"
        return _said("recorder_sends_other_media", kind=kind, wanted=wanted, packets=other.packets, **about)
    if split is not None:
        return _said("recorder_sends_fragments", packets=split.packets, **about)
    if not view.camera_on:
        return _said("camera_off", **about)
    return _said("recorder_sends_nothing", **about)


def _wrong(code: str, **facts: Any) -> Finding:
    """Return a trouble of all that it stands before."""
    return finding(code, **facts)


def _said(code: str, **facts: Any) -> Finding:
    """A trouble of one view: the others go on."""
    return finding(code, severity=Severity.WARNING, **facts)


# -- what the city offers, and what it does with the pictures --------------------------------------------------------


def _offer(offer: Offer) -> Iterator[Finding]:
    facts: dict[str, Any] = {"channel": offer.channel, "agreed": ", ".join(offer.agreed)}
    if offer.reason == "media_address_foreign":
        yield _said("offer_address_foreign", address=offer.about, **facts)
    elif offer.reason == "sdp_connection":
        yield _said("offer_address_unusable", address=offer.about.rpartition(" ")[2] or "-", **facts)
    elif offer.reason == "sdp_unacceptable":
        yield _said("offer_not_carried", offered=offer.about, **facts)
    elif offer.reason == "encoding_not_carried":
        yield _said("offer_encoding_not_carried", encoding=offer.about, **facts)
    elif offer.reason == "right_not_granted":
        yield _said("right_not_of_city", right=offer.about, **facts)
    elif offer.reason in ("right_not_allowed", "channel_not_shared"):
        yield _said("right_not_of_owner", right=offer.about, **facts)


def _refusals(evidence: Evidence) -> Iterator[Finding]:
    told: set[str] = set()
    for dropped in sorted(evidence.refusals, key=lambda each: each.seconds):
        if dropped.address not in told and _refuses_media(dropped, evidence):
            told.add(dropped.address)
            yield _said("city_refuses_media", address=dropped.address, port=dropped.port, icmp=dropped.kind,
                        packets=dropped.packets, seconds=dropped.seconds)  # fmt: skip


def _refuses_media(dropped: Dropped, evidence: Evidence) -> bool:
    servers = {held.server.partition("/")[0] for held in evidence.registrations}
    if f"{dropped.address}:{dropped.port}" in servers:
        return False  # of signalling
    flows = (dropped.address, dropped.port) in evidence.sinks
    lately = dropped.seconds <= (LATELY_SECONDS if flows else OLD_REFUSAL_SECONDS)
    return lately and (flows or dropped.packets >= MANY_REFUSALS)
