"""How calls of the public API answer: our own errors become ``{"status": "error", "error": …}``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from modelwatch.exceptions import ModelwatchError

CLOSED = "the service is closed"

P = ParamSpec("P")
Result = dict[str, Any]


def answers(method: Callable[P, Result]) -> Callable[P, Result]:
    """Turn our own errors into ``{"status": "error", "error": …}``; so does whatever is called after ``close()``."""

    @wraps(method)
    def answering(*args: P.args, **kwargs: P.kwargs) -> Result:
        service = args[0] if args else None
        if getattr(getattr(service, "_parts", service), "closed", False):
            return {"status": "error", "error": CLOSED}
        try:
            return method(*args, **kwargs)
        except ModelwatchError as error:
            return {"status": "error", "error": str(error)}

    return answering
