"""The sidecar's process: its one line of greeting, its signals, its end."""

from __future__ import annotations

import asyncio
import logging
import shlex
import signal
import sys
from collections.abc import Callable
from typing import TextIO

from modelwatch.exceptions import ConfigError
from modelwatch.sidecar.server import Sidecar
from modelwatch.sidecar.settings import Settings

__all__ = ["run"]

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(settings: Settings, out: TextIO | None = None) -> int:
    """
    Run a sidecar until it is told to stop; return the exit code.

    SIGTERM and SIGINT stop it, SIGHUP reads the configuration again.

    Raises
    ------
    ConfigError, InputError, StorageError
        If it can't start.
    """
    _set_up_logging()
    return asyncio.run(_serve(settings, out or sys.stdout))


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    # Its news (a job was added, a run was skipped as the one before is not over) is ours to tell.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


async def _serve(settings: Settings, out: TextIO) -> int:
    sidecar = Sidecar(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = asyncio.ensure_future(_reload(sidecar))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    handlers: dict[signal.Signals, Callable[[], None]] = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = on_hangup
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        await sidecar.start()
        for line in _greeting(sidecar):
            out.write(line + "\n")
        out.flush()
        await stop.wait()
    finally:
        await sidecar.stop()
    return 0


async def _reload(sidecar: Sidecar) -> None:
    try:
        await sidecar.reload()
    except ConfigError:
        return  # logged where it was found, and exposed


def _greeting(sidecar: Sidecar) -> list[str]:
    """Return where it listens and what it watches; without models, how to get one."""
    watch = sidecar.watch
    count = len({model.config.model_id for model in watch.models()})
    models = f"{count} model{'' if count == 1 else 's'}"
    line = f"modelwatch sidecar listens on {sidecar.address} · storage {watch.folder} · {models}"
    if count:
        return [line]
    return [
        line,
        f"No model yet: watching {watch.folder} for what applications record there. Point yours at it with:",
        f"  export MODELWATCH_STORAGE={shlex.quote(str(watch.folder))}",
    ]
