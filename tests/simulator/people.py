"""Persons at the city, owners at the boxes, and those who wish neither well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry import claims, concentrators, enrolment, feeds, layers, peers, restored, revocation, rotation, sites
from city.registry.layers import Why
from city.registry.tables import Peer, Site
from netconf import envelope
from netconf.enrolment import Bundle, code, read_bundle, write_bundle
from tests.simulator.box import Box, Device, lives
from tests.simulator.city import Controller, person

if TYPE_CHECKING:
    from tests.simulator.world import World

MOST_BACKUPS, MOST_STRANGERS = 3, 2


# -- at the city -------------------------------------------------------------------------------------------------------


def state(world: World, site: str) -> str:
    rows = world.main.database.rows("SELECT state FROM site WHERE id = ?", site)
    return str(rows[0][0]) if rows else "unknown"


def _site(session: Session, who: str, site: str) -> Site:
    return sites.get(session, person(session, who), site, lock=True)


def add_site(world: World, box: Box) -> None:
    """A person writes a site down, and gives its installer a claim."""
    facts = sites.Facts(box.site, f"小区 {box.name}", "340200", template="standard", template_version=1)
    world.main.does(lambda session: sites.add(session, world.main.clock(), person(session, "li"), facts).state)
    issue(world, box)


def issue(world: World, box: Box) -> None:
    """A person prints a bundle for a site; its installer gives it to the box."""
    main = world.main
    claim = claims.fresh(world.chance.randbytes)

    def does(session: Session) -> str:
        claims.issue(session, main.clock(), "li", _site(session, "li", box.site), claim)
        return "has a claim"

    said = main.does(does)
    if said == "has a claim":
        known = world.prepared.keys
        box.bundle = read_bundle(write_bundle(Bundle(box.site, "192.0.2.1", 443, known.ca_hash, known.city_key, claim)))
    world.say("li", f"{box.name} {said}")


def shown(world: World, box: Box) -> str:
    """Return the digits that a person reads at the box."""
    assert box.bundle is not None
    return code(world.prepared.keys.ca_hash, box.device.key.public_key(), box.bundle.claim)


def approve(world: World, box: Box) -> None:
    """A person compares the digits at the box with those at the console; others are turned away."""
    main = world.main
    if box.bundle is None:
        return
    digits = shown(world, box)

    def does(session: Session) -> str:
        row = _site(session, "wang", box.site)
        enrolment.approve(session, main.signer, main.clock(), "wang", row, digits)
        return "is approved"

    said = main.does(does)
    world.say("wang", f"{box.name} {said}")
    if said == "is approved":
        world.watch.known.devices[box.site] = box.device.hash
    elif said.endswith("code_other"):
        refuse(world, box)


def refuse(world: World, box: Box) -> None:
    """A person turns away who waits, and gives another claim."""
    main = world.main
    said = main.does(
        lambda session: enrolment.refuse(
            session, main.clock(), "sec", _site(session, "sec", box.site), "another device"
        )
    )
    world.say("sec", f"who waits at {box.name}'s site {said}")
    issue(world, box)


def revoke(world: World, box: Box) -> None:
    """A person cuts a site off."""
    main = world.main

    def does(session: Session) -> str:
        revocation.revoke(session, main.signer, _site(session, "sec", box.site), "sec", "stolen", main.clock())
        return "is revoked"

    said = main.does(does)
    if said == "is revoked":
        world.watch.cut_off(box.site)
    world.say("sec", f"{box.name} {said}")


def rotate(world: World, box: Box) -> None:
    """A person has a tunnel's key exchanged."""
    main, tunnel = world.main, world.chance.choice(("wg-a", "wg-b"))
    said = main.does(
        lambda session: rotation.begin(session, _site(session, "sys", box.site), tunnel, "sys", main.clock())
    )
    world.say("sys", f"a new key of {tunnel} for {box.name} {said}")


def edit(world: World, box: Box) -> None:
    """A person changes a site's own part of the layer."""
    main = world.main
    own: dict[str, Any] = {"control": {"interval_seconds": world.chance.randrange(30, 90)}}
    if world.faulty and world.chance.random() < 0.1:
        own = {"max_calls": 64}  # the owner's: it is not the city's to say
    facts = sites.Facts(box.site, f"小区 {box.name}", "340200", template="standard", template_version=1, own=own)

    def does(session: Session) -> str:
        row = sites.edit(session, main.clock(), person(session, "li"), facts)
        if row.state != "active":
            return "is written down"
        revision = layers.offer(session, main.signer, row, main.clock(), Why("li", "site edited"))
        return f"is offered {revision}"

    world.say("li", f"{box.name} {main.does(does)}")


def approve_all(world: World) -> None:
    """Whoever waits is let in, if the digits are the same."""
    for box in world.boxes.values():
        if state(world, box.site) == "pending":
            approve(world, box)


def put_right(world: World) -> None:
    """What persons do when they have time: nothing is left half done."""
    if not world.main.open or world.unfinished:
        finish_restore(world)
    approve_all(world)
    for box in world.boxes.values():
        there = state(world, box.site)
        if there == "unknown":
            add_site(world, box)
        elif there == "new":
            issue(world, box)
        elif there != "revoked" and world.marks.is_revoked(box.site):
            revoke(world, box)
    for hub in world.hubs.values():
        if hub.up and hub.rule == "hub_snapshot_smaller":
            allow_smaller(world, hub.name)


def allow_smaller(world: World, hub: str) -> None:
    """A person says that a concentrator may have fewer sites than before."""
    main = world.main
    said = main.does(lambda session: concentrators.allow_smaller(session, "sys", hub, main.clock()))
    world.say("sys", f"fewer peers at {hub}: {said}")


# -- the machine room --------------------------------------------------------------------------------------------------


def back_up(world: World) -> None:
    """A copy of the database is put away."""
    if len(world.backups) < MOST_BACKUPS:
        world.backups.append(world.main.database.copy())
        world.say("sys", "backs the database up")


def restore(world: World) -> None:
    """The database is lost; a backup is laid back. Perhaps the lost one still runs somewhere."""
    if not world.backups or world.restored >= 2:
        return
    world.restored += 1
    main = world.main
    if world.lost is None and world.chance.random() < 0.5:
        world.bench.second.lay_back(main.database.copy())
        world.lost = Controller(world, "lost city", world.bench.second)
    main.database.lay_back(world.chance.choice(world.backups))
    main.begin()
    world.unfinished = True
    world.watch.laid_back()
    world.say("sys", "lays a backup back")
    finish_restore(world)


def finish_restore(world: World) -> None:
    """Nobody is served before the registry is taken on."""
    main = world.main
    main.open = True
    said = main.does(
        lambda session: f"of epoch {restored.restored(session, main.signer, 'sys', 'disk lost', main.clock()).epoch}"
    )
    main.open = said.startswith("of epoch")
    world.unfinished = not main.open
    world.say("sys", f"the registry {said}")


def tamper(world: World) -> None:
    """A registry with a fault tells a concentrator that one site has another's address (attacks.json, W02)."""

    def does(session: Session) -> str:
        rows = session.scalars(
            select(Peer).where(Peer.concentrator == "hub-b", Peer.state == "on").order_by(Peer.site)
        ).all()
        if len(rows) < 2:
            return "finds nobody"
        one, other = world.chance.sample(list(rows), 2)
        body = peers.entry(one.site, one.public_key, other.address, one.psk)
        feeds.append(session, peers.feed("hub-b"), one.site, body, world.main.clock())
        return f"gives {one.site[-2:]} the address of {other.site[-2:]}"

    world.say("registry", f"has a fault: {world.main.does(does)}")


# -- owners ------------------------------------------------------------------------------------------------------------


def settle_owner(world: World, box: Box) -> None:
    """The owner changes something of his own, or says yes to what he changed."""
    if not box.up:
        return
    if box.running.pending is not None and box.running.pending.caller == "web" and box.name in world.proposed:
        world.watch.owner_may_settle(box, world.proposed[box.name])
        said = lives(box, box.owner_confirms)
        world.say(f"{box.name}'s owner", f"says yes, {said}")
    else:
        parts = {"max_calls": world.chance.randrange(1, 64)}
        seconds = world.chance.choice((0, 60))
        world.proposed[box.name] = parts
        if not seconds:
            world.watch.owner_may_settle(box, parts)
        said = lives(box, lambda: box.owner(parts, seconds))
        world.say(f"{box.name}'s owner", f"wants {parts['max_calls']} calls, {said}")
    world.looked(box)


# -- attackers ---------------------------------------------------------------------------------------------------------


def replay(world: World) -> None:
    """A message that was heard once comes again."""
    if world.heard:
        message = world.chance.choice(world.heard)
        world.say("attacker", f"sends {message.sender}'s {message.kind} again")
        answer = world.main.hear(message)
        if answer is not None:
            world.say("attacker", f"hears {sorted(answer) if isinstance(answer, dict) else 'an envelope'}")
        world.watch.registry(world.main)


def hand_over_old(world: World) -> None:
    """Somebody who holds a registry hands a box any layer that was ever signed, its own or another's."""
    box = world.chance.choice(list(world.boxes.values()))
    if not box.up:
        return
    whose = box.site if world.chance.random() < 0.7 else "%"
    rows = world.main.database.rows(
        "SELECT site, epoch, revision, envelope FROM layer WHERE site LIKE ? ORDER BY site, epoch, revision", whose
    )
    if rows:
        site, epoch, revision, text = world.chance.choice(rows)
        said = lives(box, lambda: box.hand_over(text))
        world.say("attacker", f"hands {box.name} {epoch}/{revision} of {site[-2:]}: {said}")
        world.looked(box)


def forge(world: World) -> None:
    """Another city's word, or one that was changed on its way."""
    box = world.chance.choice(list(world.boxes.values()))
    if not box.up:
        return
    epoch, revision = box.running.journal.highest
    payload = {
        "site": box.site, "device": box.device.hash, "epoch": epoch + 1, "revision": revision,
        "not_after": int(world.now) + 10**9, "layer": box.confirmed().city | {"control": {"address": "10.20.66.6"}},
    }  # fmt: skip
    said = lives(box, lambda: box.hand_over(envelope.sign("layer", payload, Ed25519PrivateKey.generate())))
    world.say("attacker", f"hands {box.name} a forged layer: {said}")
    world.looked(box)
    answer = {"site": box.site, "device": box.device.hash, "nonce": box.nonce}
    said = lives(box, lambda: box.hear_answer(envelope.sign("answer", answer, Ed25519PrivateKey.generate())))
    world.say("attacker", f"answers {box.name} as another city: {said}")
    world.looked(box)


def overreach(world: World) -> None:
    """Somebody holds the city's own signing key, and settles what is the owner's."""
    box = world.chance.choice(list(world.boxes.values()))
    if not box.up:
        return
    epoch, revision = box.running.journal.highest
    mark = (epoch, revision + 1)
    layer = box.confirmed().city | {"max_calls": 64}
    payload = {
        "site": box.site, "device": box.device.hash, "epoch": epoch, "revision": revision + 1,
        "not_after": int(world.now) + 10**9, "layer": layer,
    }  # fmt: skip
    key = (box.site, box.device.hash, mark)
    before = world.watch.known.layers.get(key)
    world.watch.known.layers[key] = layer
    said = lives(box, lambda: box.hand_over(envelope.sign("layer", payload, world.prepared.keys.city)))
    world.say("attacker", f"hands {box.name} what is its owner's: {said}")
    if before is not None:
        world.watch.known.layers[key] = before
    world.looked(box)


def replay_at_hub(world: World) -> None:
    """An envelope that a concentrator had once comes again."""
    if world.envelopes:
        name, text = world.chance.choice(world.envelopes)
        hub = world.hubs[name]
        if hub.up:
            said = lives(hub, lambda: hub.take(text))
            world.say("attacker", f"tells {name} something old: {said}")
            world.looked(hub)


def steal(world: World) -> None:
    """A thief has photographed the bundle of a box."""
    victims = [box for box in world.boxes.values() if box.bundle is not None]
    if not victims or len(world.strangers) >= MOST_STRANGERS:
        return
    victim = world.chance.choice(victims)
    name = f"thief{len(world.strangers) + 1}"
    thief = Box(world, Device(name, victim.site), victim.bundle, world.disk(name))
    world.strangers[name] = thief
    world.say(name, f"has the bundle of {victim.name}")
