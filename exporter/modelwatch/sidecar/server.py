"""The sidecar as a whole: a watch, its schedule, and HTTP, on one event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from modelwatch.collector.readers import is_scrape
from modelwatch.exceptions import ConfigError, InputError
from modelwatch.sidecar.exposition import Exposition
from modelwatch.sidecar.page import render_page
from modelwatch.sidecar.schedule import Schedule
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch
from modelwatch.sidecar.web import build_app
from modelwatch.sidecar.webhook import log_alerts
from modelwatch.sidecar.worker import Worker

__all__ = ["Sidecar"]

logger = logging.getLogger("modelwatch")

EAGER_SECONDS = 1.0
"""How often to ask for the checks while another process still has them."""
REQUEST_SECONDS = 2.0
"""How long a request under way may take when the sidecar stops."""


class Sidecar:
    """
    One sidecar; used on one event loop.

    Parameters
    ----------
    settings
        How it was started.
    clock
        Seconds since the epoch.

    Raises
    ------
    ConfigError
        If the configuration is wrong.
    StorageError
        If the storage can't be used.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self.watch = Watch(settings, clock)
        self._exposition = Exposition(self.watch, recordings=settings.expose_recordings)
        self._worker = Worker()
        self._schedule = Schedule(self.watch, self._worker, settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._last_scrape: float | None = None
        self._exposable = False
        self._said_owner: bool | None = None
        self._stopping = False
        self._said: set[str] = set()
        self.address = ""

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> str:
        """
        Listen, take over the checks, and look for models; return the address, such as ``http://127.0.0.1:9877``.

        Raises
        ------
        InputError
            If nothing can listen there.
        """
        app = build_app(self, enable_lifecycle=self._settings.enable_lifecycle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=REQUEST_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        try:
            await site.start()
        except OSError as error:
            where = f"{self._settings.host}:{self._settings.port}"
            raise InputError(f"can't listen on {where}: {error.strerror or error}") from error
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._schedule.start()
        # In this order, as there is a lease for each model.
        await self._guarded("models", self._refresh)
        await self._guarded("leases", self._renew)
        self._tasks = [
            asyncio.create_task(self._every(self._lease_pause, "leases", self._renew)),
            asyncio.create_task(self._every(lambda: self._settings.refresh_seconds, "models", self._refresh)),
        ]
        return self.address

    async def stop(self) -> bool:
        """
        Let the check under way end, give back the leases, and stop listening.

        Returns
        -------
        bool
            Whether the check ended in time.
        """
        self._stopping = True
        self._schedule.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ended = await asyncio.to_thread(self._worker.close, self._settings.stop_seconds)
        if not ended:
            logger.warning("a check did not end within %g s and is left behind", self._settings.stop_seconds)
        if self._runner is not None:
            await self._runner.cleanup()
        try:
            await asyncio.to_thread(self.watch.close)
        except Exception as error:  # noqa: BLE001 - the background-job boundary: a store that is gone ends nothing
            logger.warning("the leases were not given back, they end by themselves: %s", error)
        self._exposition.close()
        return ended

    # ── what is done again and again ─────────────────────────────────────────────────────────────────────────────

    def _lease_pause(self) -> float:
        third = self._settings.lease_seconds / 3
        return third if self.watch.owner else min(EAGER_SECONDS, third)

    async def _every(self, pause: Callable[[], float], what: str, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(pause())
            await self._guarded(what, job)

    async def _renew(self) -> None:
        before = self.watch.owner
        try:
            await asyncio.to_thread(self.watch.renew_leases)
        finally:
            if self.watch.owner != before:
                await self._plan()
            self._say_who_checks()

    def _say_who_checks(self) -> None:
        """Say once whose the checks are: a sidecar that waits for another, or for a dead one's lease, looks idle."""
        if self.watch.owner == self._said_owner:
            return
        self._said_owner = self.watch.owner
        if self.watch.owner:
            logger.info("the scheduled checks are this sidecar's now")
        else:
            logger.info(
                "another process has the scheduled checks; this sidecar takes over at most %.0f s after it is gone",
                self._settings.lease_seconds,
            )

    async def _refresh(self) -> None:
        await asyncio.to_thread(self.watch.refresh)
        await self._plan()
        if not self._exposable:
            await asyncio.to_thread(self._exposition.check)
            self._exposable = True

    async def _plan(self) -> None:
        if self._stopping:
            return
        self._schedule.sync(await asyncio.to_thread(self.watch.store.last_checks) if self.watch.owner else {})

    async def _guarded(self, what: str, job: Callable[[], Awaitable[None]]) -> None:
        """Run what is done again and again; a fault is logged once until it works again."""
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - the background-job boundary: it is tried again soon
            if what not in self._said:
                self._said.add(what)
                logger.warning("%s can't be looked after now, trying again: %s", what, error)
        else:
            if what in self._said:
                self._said.discard(what)
                logger.info("%s are looked after again", what)

    # ── what HTTP asks for ───────────────────────────────────────────────────────────────────────────────────────

    def metrics(self, accept: str, names: list[str], compress: bool) -> tuple[bytes, str]:
        """Return the text of all metrics and its content type."""
        body = self._exposition.render(accept, names, compress=compress)
        if is_scrape():
            self._last_scrape = self.watch.clock()
        return body

    def page(self) -> str:
        """Return the status page."""
        return render_page(self.watch, self._schedule.next_check, self._last_scrape)

    def not_ready(self) -> str | None:
        """Return why this can't serve yet, or None if it can."""
        if self._stopping:
            return "it stops"
        if self.watch.refreshed_at is None:
            return "the storage could not be read yet"
        return None if self._exposable else "the results could not be read yet"

    def log_alerts(self, body: bytes) -> int:
        """
        Log what Alertmanager's webhook sends, under our names of severities; return how many alerts that is.

        Raises
        ------
        InputError
            If it is no such message.
        """
        return log_alerts(body, self.watch.config.alerting.severity_map)

    async def reload(self) -> None:
        """
        Read the configuration again and follow it.

        Raises
        ------
        ConfigError
            If it is wrong; the one before stays. It is logged too.
        """
        try:
            await asyncio.to_thread(self.watch.reload)
        except ConfigError as error:
            logger.error("the configuration is wrong, the one before stays: %s", error)
            raise
        logger.info("the configuration was read again")
        await self._guarded("models", self._refresh)
