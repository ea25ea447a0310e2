"""How long blocks of absolute values stay open, over all models of a worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = ["BLOCK_BYTES", "Limits", "OpenBlock", "closable"]

BLOCK_BYTES = 500
"""About what a block takes beside its numbers."""


class OpenBlock(Protocol):
    """What can be closed."""

    added_at: float

    @property
    def size(self) -> int:
        """About how many bytes it takes."""


_K = TypeVar("_K")
_V = TypeVar("_V", bound=OpenBlock)


@dataclass(frozen=True)
class Limits:
    """
    When blocks are closed: by age; above `comfortable_bytes` those that only rest for a moment too.

    A block to which somebody adds right now stays open whatever there is beside it: closed and opened again with each
    flush it would become a row of the store each time. Only above `most_bytes`, some 17 000 hours of minutes, which is
    far more than one process has models, those used longest ago go all the same.

    Attributes
    ----------
    idle_seconds
        A block to which nothing was added for so long is closed.
    resting_seconds
        The same where there are many.
    comfortable_bytes, most_bytes
        About how much memory all blocks of a kind may hold.
    """

    idle_seconds: float = 3600.0
    resting_seconds: float = 300.0
    comfortable_bytes: int = 24 * 2**20
    most_bytes: int = 96 * 2**20


def closable(held: OrderedDict[_K, _V], limits: Limits, now: float) -> Iterator[_K]:
    """
    Return the keys of the blocks that are to be closed now.

    Parameters
    ----------
    held
        Open blocks, those used longest ago first.
    limits
        When they are closed.
    now
        Seconds since 1970; blocks used later than that were so under another clock.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> blocks = OrderedDict(a=SimpleNamespace(added_at=0.0, size=10), b=SimpleNamespace(added_at=3000.0, size=10))
    >>> list(closable(blocks, Limits(), 3100.0)), list(closable(blocks, Limits(), 3700.0))
    ([], ['a'])
    >>> list(closable(blocks, Limits(comfortable_bytes=15), 3100.0))
    ['a']
    >>> list(closable(blocks, Limits(most_bytes=9), 3100.0))
    ['a', 'b']
    """
    size = sum(block.size for block in held.values())
    for key, block in held.items():
        age = now - block.added_at
        stays = 0 <= age <= limits.idle_seconds and (size <= limits.comfortable_bytes or age <= limits.resting_seconds)
        if stays and size <= limits.most_bytes:
            return
        size -= block.size
        yield key
