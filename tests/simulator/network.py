"""The wires between everybody: messages in a list, of which some are lost, some come twice, and any may come next."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

#: Out of a hundred messages.
LOST, TWICE = 6, 4
#: Of those that wait, the newest comes next so often; else any.
IN_ORDER = 0.7


@dataclass(frozen=True, slots=True)
class Message:
    """``number`` names the question, in the answer too; ``by`` is the tunnel, "" the open network."""

    number: int
    sender: str
    to: str
    kind: str
    body: Any = field(repr=False)
    by: str = ""
    answers: bool = False


class Network:
    """What is on its way."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.waiting: list[Message] = []
        self._numbers = 0
        self.faulty = True

    def ask(self, sender: str, to: str, kind: str, body: Any, by: str = "") -> int:
        """Send a question and return its number."""
        self._numbers += 1
        self.waiting.append(Message(self._numbers, sender, to, kind, body, by))
        return self._numbers

    def answer(self, question: Message, body: Any) -> None:
        """Send the answer to a question."""
        self.waiting.append(
            Message(question.number, question.to, question.sender, question.kind, body, question.by, answers=True)
        )

    def next(self) -> Message | None:
        """Take the next message that arrives; None when one was lost instead, or none is there."""
        if not self.waiting:
            return None
        if not self.faulty:
            return self.waiting.pop(0)
        at = len(self.waiting) - 1 if self._chance.random() < IN_ORDER else self._chance.randrange(len(self.waiting))
        message = self.waiting.pop(at)
        lot = self._chance.randrange(100)
        if lot < LOST:
            return None
        if lot < LOST + TWICE:
            self.waiting.insert(0, message)
        return message
