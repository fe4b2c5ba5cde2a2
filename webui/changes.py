"""Changes that the owner has asked for: put to the keeper after their page is at the browser, confirmed from wherever it is.

A change of the LAN address cuts off the very page that asked for it. So the page comes first, with a secret of its own;
then the change is proposed; then the browser, at the old address or at the new one, shows the secret, and the token that
the keeper gave is handed in. The secret is the browser's, the token never leaves the box, and both are kept (the secret
as a digest) on tmpfs, for the page is another process at the new address. A change of rules is proven before it is applied;
so long it is asked after.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edge.control.client import MOST_MISSED
from edge.control.wire import (
    Answer,
    Confirm,
    ControlError,
    Done,
    Outcome,
    Propose,
    Proving,
    Refusal,
    Reject,
    Request,
    Waiting,
)

MOST_KEPT = 16
#: The page must have reached the browser, over a telephone's Wi-Fi, before its own road is moved.
PROPOSE_AFTER_SECONDS = 1.5
CONFIRM_SECONDS = 60
ASK_AGAIN_SECONDS = 0.5


@dataclass(slots=True)
class Asked:
    """One change: state is working, proving, waiting, kept, undone or refused; ``rules`` say why the last two.

    ``seconds`` are how long a proof may still take.
    """

    state: str
    where: str
    token: str = ""
    rules: tuple[tuple[str, str], ...] = ()
    seconds: int = 0


class Changes:
    """``ask`` puts a request to the keeper; ``later`` runs a thing after so many seconds."""

    def __init__(self, ask: Callable[[Request], Answer], later: Callable[[float, Callable[[], None]], None]) -> None:
        self._ask = ask
        self._later = later
        self._lock = threading.Lock()
        self._asked: dict[str, Asked] = {}

    def begin(self, request: Propose, where: str) -> str:
        """Take a change that is proposed in a moment; return the browser's secret. ``where`` is the page's new origin."""
        secret = secrets.token_hex(16)
        with self._lock:
            while len(self._asked) >= MOST_KEPT:
                self._asked.pop(next(iter(self._asked)))
            self._asked[_digest(secret)] = Asked("working", where)
        self._later(PROPOSE_AFTER_SECONDS, lambda: self._propose(secret, request))
        return secret

    def _propose(self, secret: str, request: Propose) -> None:
        asked = self._asked.get(_digest(secret))
        if asked is not None:
            self._put(asked, request, MOST_MISSED)

    def _put(self, asked: Asked, request: Propose | Outcome, missed: int) -> None:
        """Ask what has become of a change, and again as long as it is being proven; ``missed`` answers were none."""
        if asked.state not in ("working", "proving"):
            return  # undone meanwhile
        try:
            answer = self._ask(request)
        except (OSError, ControlError):
            if missed < MOST_MISSED:
                self._later(ASK_AGAIN_SECONDS, lambda: self._put(asked, request, missed + 1))
            else:
                asked.state, asked.rules = "refused", (("keeper_away", ""),)
            return
        if isinstance(answer, Proving):
            asked.token, asked.state, asked.seconds = answer.token, "proving", answer.seconds
            self._follow(asked)
        elif isinstance(answer, Waiting):
            asked.token, asked.state = answer.token, "waiting"
        elif isinstance(answer, Refusal):
            asked.rules = tuple((f.code, f.path) for f in answer.findings) or ((answer.rule, ""),)
            asked.state = "refused"

    def _follow(self, asked: Asked) -> None:
        self._later(ASK_AGAIN_SECONDS, lambda: self._put(asked, Outcome(asked.token), 0))

    def look(self, secret: str) -> Asked | None:
        """Return what has become of the change of a secret."""
        return self._asked.get(_digest(secret))

    def keep(self, secret: str) -> Asked | None:
        """Hand in the token of a change that waits."""
        return self._word(secret, Confirm, "kept")

    def undo(self, secret: str) -> Asked | None:
        """Have a change that waits undone now."""
        return self._word(secret, Reject, "undone")

    def _word(self, secret: str, kind: type[Confirm | Reject], state: str) -> Asked | None:
        asked = self._asked.get(_digest(secret))
        held = ("proving", "waiting") if kind is Reject else ("waiting",)
        if asked is None or asked.state not in held:
            return asked
        try:
            answer = self._ask(kind(asked.token))
        except (OSError, ControlError):
            return asked
        if isinstance(answer, Done):
            asked.state = state
        elif isinstance(answer, Refusal):
            asked.state, asked.rules = "undone", ((answer.rule, ""),)
        return asked

    def working(self) -> bool:
        """Say whether the keeper has yet to answer."""
        return any(asked.state in ("working", "proving") for asked in list(self._asked.values()))

    def kept(self) -> dict[str, Any]:
        """Return all for a file on tmpfs."""
        return {key: asdict(asked) for key, asked in list(self._asked.items())}

    def adopt(self, kept: dict[str, Any]) -> None:
        """Take over what the process before us kept."""
        for key, facts in list(kept.items())[:MOST_KEPT]:
            rules = tuple((str(code), str(path)) for code, path in facts["rules"])
            self._asked[key] = Asked(str(facts["state"]), str(facts["where"]), str(facts["token"]), rules)
            if facts["state"] == "proving":
                self._follow(self._asked[key])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
