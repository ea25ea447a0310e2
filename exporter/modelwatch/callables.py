"""Which callables give their answer at once, and which only something to await or to iterate over."""

from __future__ import annotations

import functools
import inspect

__all__ = ["ASYNC_FUNCTION", "kind_that_waits"]

ASYNC_FUNCTION = "an async function"
_KINDS = (
    (inspect.iscoroutinefunction, ASYNC_FUNCTION),
    (inspect.isasyncgenfunction, "an async generator"),
    (inspect.isgeneratorfunction, "a generator"),
)


def kind_that_waits(function: object) -> str:
    """Return what a callable is if calling it does not do its work yet; "" for a plain one.

    Looks into ``functools.partial`` and at the ``__call__`` of objects.

    >>> async def send(alert): ...
    >>> kind_that_waits(send), kind_that_waits(functools.partial(send)), kind_that_waits(print)
    ('an async function', 'an async function', '')
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not callable(function):
        return ""
    # A class makes an object when it is called, whatever that object does then.
    looked_at = [function] if isinstance(function, type) else [function, type(function).__call__]
    return next((kind for each in looked_at for is_kind, kind in _KINDS if is_kind(each)), "")
