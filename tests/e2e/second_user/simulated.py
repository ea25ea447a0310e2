"""The same program in a world whose clock the test turns, and in which looking at things takes no minute."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path

from modelwatch import default
from modelwatch.service import loop

_OFFSET = Path(os.environ["SIMULATED_OFFSET"])


def clock() -> float:
    """Return now, as far ahead as the test says."""
    return time.time() + float(_OFFSET.read_text() or 0.0)


default._default.clock = clock
loop.START_DELAY = loop.OPERATIONAL_INTERVAL = float(os.environ.get("SIMULATED_MINUTE", "60"))
loop.LEASE_SECONDS = 3.0

# By name, as type checkers don't look in this folder for it.
_program = importlib.import_module("click_model")
asgi, wsgi = _program.asgi, _program.wsgi
