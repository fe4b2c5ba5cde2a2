"""When the agent speaks to the city next: once an interval, and no two boxes at once. Pure.

Boxes that are in step (their district had its power back, their registry came back) must not stay so. What was answered is
followed by the next report after nearly one interval, for the city waits for it; what was not, after anything between a
fifth of it and nearly two: whoever all failed in the same second are spread over more than an interval and a half by their
next try, and yet none of them speaks more often than before on the average, or later than a city waits before it calls a
site silent.
"""

from __future__ import annotations

from collections.abc import Callable

#: While a change waits for the city's word it is asked for often: every second counts for a site that is cut off.
WAITING_SECONDS = 1.0
#: Least and most parts of an interval, after an answer and after none.
ANSWERED, UNANSWERED = (0.8, 1.2), (0.2, 1.8)


def seconds(interval: float, *, heard: bool, chance: Callable[[], float]) -> float:
    """Return how long to wait; ``chance`` gives numbers from 0 to 1."""
    least, most = ANSWERED if heard else UNANSWERED
    return interval * (least + (most - least) * chance())
