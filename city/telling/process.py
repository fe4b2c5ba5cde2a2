"""The queue, sent: one telling at a time, each result kept at once. Called again and again; it takes seconds at most."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from city.registry import hooks
from city.registry.hooks import Message
from city.registry.store import Store
from city.telling import syslog, webhook
from city.telling.places import Untold

#: One round's time. A receiver that takes all its five seconds shall not keep the others waiting for minutes.
ROUND_SECONDS = 30.0
Send = Callable[[Message, float], None]


def send(message: Message, now: float) -> None:
    """Send a message to its hook, once.

    Raises:
        Untold: it did not arrive.
    """
    if message.kind == "webhook":
        webhook.send(message.target, message.secret, message.ca, message.inside, message.facts, now)
        return
    line = syslog.line(message.severity, socket.gethostname(), message.facts, message.text, now)
    syslog.send(message.target, message.inside, line)


def tell(store: Store, clock: Callable[[], float], say: Callable[..., None], deliver: Send = send) -> int:
    """Send what waits; return how many were taken."""
    until, taken = time.monotonic() + ROUND_SECONDS, 0
    with store.read() as session:
        waiting = hooks.waiting(session, clock())
    failing: set[int] = set()
    for message in waiting:
        if message.hook in failing or time.monotonic() > until:
            continue
        why = ""
        try:
            deliver(message, clock())
            taken += 1
        except Untold as untold:
            why = untold.rule
            failing.add(message.hook)
            say("hook_fails", str(message.hook), hook=message.hook, why=why)
        with store.begin() as session:
            hooks.sent(session, clock(), message.number, why)
    return taken
