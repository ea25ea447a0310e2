"""What people hand to constructors and to flush: refused with a sentence before anything is made of it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping
from typing import Any

from modelwatch.config import MonitoringConfig, validate_name
from modelwatch.exceptions import InputError
from modelwatch.notify.handlers import check_handler
from modelwatch.recorder.outcomes import finite
from modelwatch.service.exposing import check_registry

__all__ = ["check_callable", "check_config", "check_handlers", "check_path", "check_registry", "wait_seconds"]


def check_path(value: object, what: str) -> None:
    """
    Refuse what is no path: a number would name a folder, bytes or a list one that nobody meant.

    Raises
    ------
    InputError
        With the name of the argument.
    """
    if value is None:
        return
    text: Any = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        msg = f"{what} must be a path (text or pathlib.Path), got {type(value).__name__}"
        raise InputError(msg)
    if "\0" in text:
        msg = f"{what} must be a path, and no path has a NUL character in it"
        raise InputError(msg)


def check_config(value: object) -> None:
    """Refuse a configuration that nobody has loaded."""
    if value is not None and not isinstance(value, MonitoringConfig):
        msg = (
            f"config must be a MonitoringConfig, such as load_config() returns, got {type(value).__name__}; "
            "the path of a file goes in config_path"
        )
        raise InputError(msg)


def check_handlers(value: object) -> None:
    """Refuse handlers that are no mapping, or would deliver nothing."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        msg = f"alert_handlers must be a dict of channel and callable, got {type(value).__name__}"
        raise InputError(msg)
    for channel, handler in value.items():
        check_handler(validate_name(channel, "channel"), handler)


def check_callable(value: object, what: str) -> None:
    """Refuse what can't be called."""
    if not callable(value):
        msg = f"{what} must be callable, got {type(value).__name__}"
        raise InputError(msg)


def wait_seconds(value: object) -> float:
    """
    Return how long to wait, from 0 to what a lock can; refuse what is no number.

    >>> wait_seconds(2), wait_seconds(-1.5), wait_seconds(float("inf")) > 1e6
    (2.0, 0.0, True)
    """
    if isinstance(value, float) and value == math.inf:
        return threading.TIMEOUT_MAX
    seconds = finite(value)
    if seconds is None:
        msg = f"timeout must be a number of seconds, got {value!r:.80}"
        raise InputError(msg)
    return min(max(seconds, 0.0), threading.TIMEOUT_MAX)
