"""The shell around the core: one thread that turns, and one each that follows the feed, reports and echoes.

Only the turning thread touches the device and what is desired. What the others bring lies in a queue.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from city.concentrator import certificate, rules, slots, steps, wg
from city.concentrator.config import Config
from city.concentrator.core import Core, Taken
from city.concentrator.echo import Echo
from city.concentrator.entries import Own, Unseal
from city.concentrator.kept import MOST_FILES, Kept
from city.concentrator.link import Answer, Link, RegistryAway
from city.concentrator.log import Log
from city.concentrator.slots import Slot
from city.concentrator.steps import Actual
from city.concentrator.watch import FLIPS, SILENT_SECONDS, Watch
from netconf import secrets
from netconf.envelope import SEALED_FOR_HUB
from netconf.notify import Supervisor
from netconf.sealed import unseal

TURN_SECONDS = 0.25
#: How often the devices are looked at; with two of them a site's way must follow within a second.
LOOK_SECONDS, LOOK_SECONDS_OF_TWO = 3.0, 0.7
#: A look takes at most this part of the time, however many peers there are.
LOOK_PART = 0.1
#: How long a turn may take: ``wg`` with twenty thousand peers takes seconds, one that hangs is ended after sixty.
SILENCE_SECONDS = 180.0
#: More steps than this are one whole configuration instead.
MOST_STEPS = 512
#: Pauses after a registry that is away, and after a snapshot that was refused.
AWAY_SECONDS, AWAY_MOST_SECONDS, REFUSED_SECONDS = 1.0, 15.0, 30.0


class HubUnfit(Exception):
    """The agent cannot begin; ``rule`` is a code of ``words``, ``about`` what it is about."""

    def __init__(self, rule: str, about: str = "") -> None:
        super().__init__(rule)
        self.rule, self.about = rule, about


@dataclass(slots=True)
class Counts:
    """What happened since the start."""

    healed: int = 0
    changes: int = 0
    snapshots: int = 0
    device_refused: int = 0


@dataclass(slots=True)
class Agent:
    """One concentrator."""

    config: Config
    core: Core
    kept: Kept
    log: Log
    on: tuple[Slot, ...] = ()
    watch: Watch = field(default_factory=Watch)
    counts: Counts = field(default_factory=Counts)
    actuals: dict[str, Actual] = field(default_factory=dict)
    rule: str = ""
    shown: str = ""
    compare_at: float = 0.0
    look_at: float = 0.0

    def begin(self) -> None:
        """Shut the rules, make the devices, and make them what was kept.

        Raises:
            HubUnfit: the host does not let us.
        """
        try:
            self._load_rules()
        except wg.DeviceRefused as wrong:
            raise HubUnfit("hub_rules_refused", str(wrong)) from None
        last = Taken()
        for envelope in self.kept.read():
            last = self.core.take(envelope)
            if last.rule:
                self.log.say(last.rule, "kept")
                break
        self.raise_slots()
        if len(last.steps) < len(self.core.peers):
            # Perhaps nobody had carried it out; a peer that was to begin anew cannot be told from one that did.
            self.carry_out(last, snapshot=False)

    def raise_slots(self) -> None:
        """Make the devices of the slots that are on, each with all peers; called again when a key came or went.

        Raises:
            HubUnfit: a device is not to be had.
        """
        self.on = slots.slots(self.config)
        for slot in self.on:
            try:
                self._raise(slot)
                self._configure(slot)
            except wg.DeviceRefused as wrong:
                raise HubUnfit("hub_device_refused", str(wrong)) from None
        self.core.own = own(self.config, self.on)

    def _configure(self, slot: Slot) -> None:
        """A device that was there before keeps its sessions: ten thousand sites need not shake hands again."""
        actual = wg.show(slot.device)
        if actual.public_key == "" and self.core.has_snapshot:
            text = steps.text(slot.private_key, slot.port, self.core.peers.values())
            wg.configure(slot.device, text, anew=True)
            return
        if (actual.public_key, actual.port) != (slot.public_key, slot.port):
            wg.own(slot.device, slot.private_key, slot.port)
        self.compare_at = 0.0

    def take(self, envelope: str) -> Taken:
        """Judge an envelope, keep it, carry it out.

        Raises:
            OSError: it could not be kept, and was not carried out.
        """
        before = dict(self.core.refused)
        taken = self.core.take(envelope)
        self.rule = taken.rule
        if taken.rule:
            self.log.say(taken.rule, f"{self.core.epoch}/{self.core.revision}")
        for site, rule in self.core.refused.items():
            if before.get(site) != rule:
                self.log.say(rule, site)
        return taken

    def carry_out(self, taken: Taken, *, snapshot: bool) -> None:
        """Make the devices follow what was taken; what a device refuses the next compare brings."""
        if snapshot:
            self.counts.snapshots += 1
        self.counts.changes += len(taken.steps)
        for slot in self.on:
            self._perform(slot, list(taken.steps))

    def _perform(self, slot: Slot, made: list[steps.Step]) -> None:
        try:
            if len(made) > MOST_STEPS:
                text = steps.text(slot.private_key, slot.port, self.core.peers.values())
                wg.configure(slot.device, text, anew=False)
            else:
                wg.perform(slot.device, made)
        except wg.DeviceRefused as wrong:
            self.counts.device_refused += 1
            self.log.say("hub_device_refused", str(wrong))
            self.compare_at = min(self.compare_at, time.monotonic() + 2.0)

    def look(self, now: float) -> None:
        """Read the devices, follow endpoints and ways, and compare when it is time. Nothing is compared with nothing."""
        began = time.monotonic()
        self.actuals = {}
        for slot in self.on:
            try:
                self.actuals[slot.device] = wg.show(slot.device)
            except wg.DeviceRefused as wrong:
                self.log.say("hub_device_refused", str(wrong))
        if any(actual.public_key != slot.public_key for slot in self.on if (actual := self.actuals.get(slot.device))):
            self.compare_at = now  # it is another device than before, or somebody gave it another key
        self.watch.look(slots.merged(self.actuals), now)
        for one in self.watch.flipping(self.core.peers):
            self.log.say("hub_endpoint_flips", str(one["site"]), flips=one["flips"], most=FLIPS)
        if len(self.on) > 1 or self.compare_at <= now:
            self._lead()
        if self.compare_at <= now:
            self.compare_at = now + self.config.compare_seconds
            self._compare()
        pause = LOOK_SECONDS_OF_TWO if len(self.on) > 1 else LOOK_SECONDS
        self.look_at = now + max(pause, (time.monotonic() - began) / LOOK_PART)

    def _lead(self) -> None:
        with contextlib.suppress(wg.DeviceRefused):
            there = wg.led()
            wanted = slots.ways(self.actuals, self.on[0].device, self.core.peers.values()) if len(self.on) > 1 else {}
            moves: dict[str, str | None] = dict.fromkeys(there.keys() - wanted.keys())
            wg.lead(moves | {one: device for one, device in wanted.items() if there.get(one) != device})

    def _compare(self) -> None:
        self._compare_rules()
        for slot in self.on:
            actual = self.actuals.get(slot.device)
            try:
                self._raise(slot)
                if actual is None or actual.public_key != slot.public_key:
                    self.compare_at = 0.0  # what it has then is seen at the next look
                    self._configure(slot)
                    continue
            except wg.DeviceRefused as wrong:
                self.compare_at = 0.0
                self.log.say("hub_device_refused", str(wrong))
                continue
            if actual.port != slot.port:
                self._configure(slot)
            if self.core.has_snapshot and (made := steps.compare(actual, self.core.peers)):
                self.counts.healed += len(made)
                self.log.say("hub_drift", slot.device, steps=len(made))
                self._perform(slot, made)

    def _compare_rules(self) -> None:
        try:
            if wg.shown_rules(rules.TABLE) != self.shown:
                self.counts.healed += 1
                self.log.say("hub_drift", rules.TABLE, steps=1)
                self._load_rules()
        except wg.DeviceRefused as wrong:
            self.log.say("hub_rules_refused", str(wrong))

    def _load_rules(self) -> None:
        wg.load_rules(rules.render(self.config))
        self.shown = wg.shown_rules(rules.TABLE)

    def _raise(self, slot: Slot) -> None:
        config, metric = self.config, 20 - 10 * (slot is self.on[0])
        wg.raise_device(slot.device, str(config.address), str(config.network), metric, config.mtu)

    def fresh(self) -> dict[str, int]:
        """Return, by a slot's public key, how many sites were heard there lately."""
        wall = time.time()
        return {
            slot.public_key: sum(wall - peer.handshake < SILENT_SECONDS for peer in actual.peers.values())
            for slot in self.on
            if (actual := self.actuals.get(slot.device)) is not None
        }

    def told(self, echo: Echo | None) -> dict[str, Any]:
        """Return the report: bounded, whatever the number of peers."""
        fresh = self.fresh()
        return {
            "epoch": self.core.epoch,
            "revision": self.core.revision,
            "peers": len(self.core.peers),
            "slots": [[slot.public_key, slot.port, fresh.get(slot.public_key, 0)] for slot in self.on],
            "rule": self.rule,
            "missing": self.core.missing,
            "refused": dict(list(self.core.refused.items())[:64]),
            "refused_count": len(self.core.refused),
            "endpoint_flips": self.watch.flipping(self.core.peers),
            "alive": self.watch.alive(slots.merged(self.actuals), self.core.peers, self.config.network, time.time()),
            "traffic": self.watch.summary(slots.merged(self.actuals), self.core.peers, time.monotonic(), time.time()),
            "healed": self.counts.healed,
            "device_refused": self.counts.device_refused,
            "echo": [echo.answered, echo.refused] if echo is not None else [],
        }

    def heed(self, answer: dict[str, Any]) -> None:
        """Do what the registry wants of our keys: a second one, or the older one no more.

        Raises:
            HubUnfit: a device is not to be had.
            OSError: a key could not be kept.
        """
        if answer.get("make_key") is True and len(self.on) == 1 and slots.make(self.config):
            self.log.say("hub_key_made")
            self.raise_slots()
        wanted = answer.get("serve")
        serve = [key for key in wanted if isinstance(key, str)] if isinstance(wanted, list) else []
        if len(self.on) > 1 and (old := slots.needless(self.on, serve, self.fresh())) is not None:
            self.log.say("hub_key_dropped", old.device)
            slots.drop(self.config, old)
            wg.drop_device(old.device)
            self.raise_slots()


def own(config: Config, on: tuple[Slot, ...]) -> Own:
    """Return what the core knows of us."""
    keys = frozenset(slot.public_key for slot in on)
    return Own(config.id, config.network, config.address, keys, config.network6)


def opener(key: EllipticCurvePrivateKey) -> Unseal:
    """Return what opens the preshared keys that were sealed to us."""

    def opened(text: str, site: str) -> str:
        return unseal(text, key, SEALED_FOR_HUB + site).decode("ascii")

    return opened


def agent(config: Config, log: Log) -> Agent:
    """Read our keys and what was kept.

    Raises:
        HubUnfit: something is missing; ``snowgate city concentrator prepare`` makes it.
    """
    try:
        city = secrets.read_city_key(config.folder)
        on = slots.slots(config)
        if city is None or not on or not (config.folder / "device.key").exists():
            raise HubUnfit("hub_unprepared", str(config.folder))
        key = secrets.ensure_device_key(config.folder)
        kept = Kept(config.state)
    except secrets.SecretDamaged as wrong:
        raise HubUnfit("hub_key_damaged", str(wrong)) from None
    except OSError as wrong:
        raise HubUnfit("hub_unprepared", f"{wrong.filename}: {wrong.strerror}") from None
    return Agent(config, Core(own(config, on), city, opener(key)), kept, log, on)


class Errands(threading.Thread):
    """A thread that asks the registry one thing after the other; each answer, or its absence, lies in ``brought``."""

    def __init__(self, link: Link, brought: queue.Queue[Any]) -> None:
        super().__init__(daemon=True)
        self._asked: queue.Queue[Callable[[Link], Any]] = queue.Queue()
        self._link = link
        self._brought = brought
        self.busy = False
        self.start()

    def ask(self, question: Callable[[Link], Any]) -> None:
        """Ask; only when not ``busy``."""
        self.busy = True
        self._asked.put(question)

    def run(self) -> None:
        while True:
            question = self._asked.get()
            try:
                found = question(self._link)
            except RegistryAway as away:
                found = away
            self._brought.put((self, found))


class Process:
    """The agent and its threads, turning."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._brought: queue.Queue[Any] = queue.Queue()
        self._feed = Errands(Link(agent.config), self._brought)
        self._reports = Errands(Link(agent.config), self._brought)
        self._echo: Echo | None = None
        self._want_snapshot = not agent.core.has_snapshot
        self._pause = AWAY_SECONDS
        self._feed_at = 0.0
        self._report_at = time.monotonic() + 1.0

    def turn(self) -> None:
        """Do what is due and wait for what comes next."""
        now = time.monotonic()
        self._listen()
        if not self._feed.busy and now >= self._feed_at:
            core = self.agent.core
            epoch, after = core.epoch, core.revision
            self._feed.ask(Link.snapshot if self._want_snapshot else lambda link: link.changes(epoch, after))
        if now >= self.agent.look_at:
            self.agent.look(now)
        if not self._reports.busy and now >= self._report_at:
            told = self.agent.told(self._echo) | certificate.asked(self.agent.config.folder, time.time())
            self._report_at = now + self.agent.config.report_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
            self._reports.ask(lambda link: link.report(told))
        with contextlib.suppress(queue.Empty):
            who, found = self._brought.get(timeout=TURN_SECONDS)
            who.busy = False
            self._hear(found, follows=who is self._feed)

    def _hear(self, found: Answer | dict[str, Any] | RegistryAway, *, follows: bool) -> None:
        if isinstance(found, RegistryAway):
            self.agent.log.say("hub_registry_away", str(found))
            if follows:
                self._feed_at = time.monotonic() + self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self._pause = min(2 * self._pause, AWAY_MOST_SECONDS)
            return
        if follows:
            self._pause = AWAY_SECONDS
        if isinstance(found, dict):
            certificate.renewed(self.agent.config.folder, found.get("certificate"))
            self.agent.heed(found)
        elif found.kind == "snapshot":
            self._want_snapshot = True
        elif found.kind == "envelope":
            self._take(found.text)

    def _take(self, text: str) -> None:
        taken = self.agent.take(text)
        snapshot = self._want_snapshot
        if taken.rule:
            self._feed_at = time.monotonic() + REFUSED_SECONDS
            self._report_at = min(self._report_at, time.monotonic())
        if not taken.follows:
            self._want_snapshot = True
            return
        if taken.kept:
            if snapshot:
                self.agent.kept.snapshot(text)
            else:
                self.agent.kept.changes(self.agent.core.revision, text)
            self.agent.carry_out(taken, snapshot=snapshot)
        if not taken.rule:
            self._want_snapshot = self.agent.kept.files >= MOST_FILES

    def _listen(self) -> None:
        if self._echo is None:
            with contextlib.suppress(OSError):
                self._echo = Echo(str(self.agent.config.address))


def run(config: Config) -> int:
    """Run until somebody ends us; returns only when we cannot begin or go on."""
    log, supervisor = Log("concentrator"), Supervisor(SILENCE_SECONDS)
    try:
        made = agent(config, log)
        made.begin()
        log.say("hub_begins", config.id)
        process = Process(made)
        supervisor.ready()
        while True:
            supervisor.beat()
            process.turn()
    except HubUnfit as wrong:
        log.say(wrong.rule, wrong.about)
    except secrets.SecretDamaged as wrong:
        log.say("hub_key_damaged", str(wrong))
    except OSError as wrong:
        log.say("hub_disk", f"{wrong.filename}: {wrong.strerror}")
    except KeyboardInterrupt:
        return 0
    return 1
