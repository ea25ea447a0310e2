"""The same program in a world whose clock the test turns, and in which looking at things takes no minute."""

from __future__ import annotations

import importlib
import os
import time
from functools import partial
from pathlib import Path

from modelwatch import default
from modelwatch.recorder import Recorder
from modelwatch.service import loop, parts

_OFFSET = Path(os.environ["SIMULATED_OFFSET"])


def clock() -> float:
    """Return now, as far ahead as the test says."""
    return time.time() + float(_OFFSET.read_text() or 0.0)


default._default.clock = clock
loop.START_DELAY = loop.OPERATIONAL_INTERVAL = float(os.environ.get("SIMULATED_MINUTE", "60"))
loop.LEASE_SECONDS = 3.0
# An hour takes a moment here, so that what is recorded in it can't wait for a second.
setattr(parts, "Recorder", partial(Recorder, flush_interval=0.05))  # noqa: B010 - no type of it is to change

# By name, as type checkers don't look in this folder for it.
_program = importlib.import_module("click_model")
asgi, wsgi = _program.asgi, _program.wsgi
