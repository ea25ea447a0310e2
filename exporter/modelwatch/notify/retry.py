"""When to try again, and when to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["RetryPolicy"]


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter until an age limit.

    Attributes
    ----------
    first, factor, ceiling : float
        Seconds before the second attempt, the growth from one to the next, and the longest pause.
    jitter : float
        Share of a pause that is random, 0 to 1: many processes that fail together shall not come back together.
    max_age : float
        Seconds after which an alert is given up: it is then news of the past.
    """

    first: float = 1.0
    factor: float = 2.0
    ceiling: float = 120.0
    jitter: float = 0.25
    max_age: float = 3600.0

    def pause(self, attempts: int, rng: random.Random) -> float:
        """Return the seconds to wait after `attempts` failed ones (1 or more).

        >>> RetryPolicy(jitter=0.0).pause(1, random.Random(1)), RetryPolicy(jitter=0.0).pause(50, random.Random(1))
        (1.0, 120.0)
        """
        # The exponent is bounded, as 2.0 ** 1100 is no float.
        whole = min(self.first * self.factor ** min(attempts - 1, 64), self.ceiling)
        return whole * (1.0 - self.jitter * rng.random())
