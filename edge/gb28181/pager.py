"""Long answers, page by page: each page goes when the one before was answered (2016 annex N).

Some platforms lose pages that come while they work on another; some never answer one: it is sent again, then left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.manscdp.messages import Message, encode
from edge.sip.endpoint import TransactionKey

#: A request of 1300 octets stays whole in a tunnel of 1420 octets; its head takes about 450 of them.
UDP_BODY_BYTES = 850
#: On a stream nothing is cut; this keeps a page below what small stacks hold in one buffer (eXosip: 4000 octets).
TCP_BODY_BYTES = 3500
MAX_ANSWERS = 64
TRIES = 2


def pages(make: Callable[[tuple[Any, ...]], Message], items: Sequence[Any], most_bytes: int, write: Callable[[Message], bytes] = encode) -> Iterator[Message]:  # fmt: skip
    """Yield messages that together hold all ``items``, each as long as it may be; an empty list is one empty page."""
    empty = len(write(make(())))
    held: list[Any] = []
    size = empty
    for item in items:
        more = len(write(make((item,)))) - empty
        if held and size + more > most_bytes:
            yield make(tuple(held))
            held, size = [], empty
        held.append(item)
        size += more
    if held or not items:
        yield make(tuple(held))


@dataclass(slots=True)
class Pager:
    """The answers that wait, and the page that is on its way. An answer whose next page is not known yet yields None."""

    send: Callable[[Message, float], TransactionKey]
    _waiting: deque[Iterator[Message | None]] = field(default_factory=deque)
    _page: Message | None = None
    _key: TransactionKey | None = None
    _tries: int = 0
    lost: int = 0

    def put(self, answer: Iterable[Message | None], now: float) -> bool:
        """Queue the pages of an answer; False when too many answers wait."""
        if len(self._waiting) >= MAX_ANSWERS:
            return False
        self._waiting.append(iter(answer))
        self.wake(now)
        return True

    def wake(self, now: float) -> None:
        """Go on, if no page is on its way: an answer may have got its next one."""
        if self._key is None:
            self._next(now)

    def _next(self, now: float) -> None:
        """Send the next page of the first answer that has one; an answer that waits for its own lets others pass."""
        self._page, self._key, self._tries = None, None, 0
        for _ in range(len(self._waiting)):
            page = next(self._waiting[0], _END)
            if page is _END:
                self._waiting.popleft()
            elif page is None:
                self._waiting.rotate(-1)
            else:
                assert not isinstance(page, _End)
                self._page = page
                self._key = self.send(page, now)
                return

    def on_final(self, key: TransactionKey, good: bool, now: float) -> bool:
        """Take the answer to a page; False when it is none of ours."""
        if key != self._key:
            return False
        self._tries += 1
        if not good and self._page is not None and self._tries < TRIES:
            self._key = self.send(self._page, now)
            return True
        self.lost += not good
        self._next(now)
        return True

    def clear(self) -> None:
        """Who asked is not reached: he asks again."""
        self._waiting.clear()
        self._page = self._key = None


class _End:
    """What stands for the end of an answer."""


_END = _End()
