"""Who reads the metrics: a look of our own must not pass for a scrape of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["DOCTOR", "is_scrape", "read_by"]

DOCTOR = "modelwatch-doctor"
"""What ``modelwatch doctor`` calls itself (``User-Agent``)."""

_scrape: ContextVar[bool] = ContextVar("modelwatch_scrape", default=True)


@contextmanager
def read_by(agent: str) -> Iterator[None]:
    """Answer a request of somebody who calls himself `agent`, in this context and its threads.

    >>> with read_by(DOCTOR):
    ...     is_scrape()
    False
    >>> is_scrape()
    True
    """
    token = _scrape.set(agent != DOCTOR)
    try:
        yield
    finally:
        _scrape.reset(token)


def is_scrape() -> bool:
    """Return whether what is answered now counts as a scrape."""
    return _scrape.get()
