"""When what runs: one scheduled job per model, operations every minute, one at a time on the worker's thread."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import MissingPackageError
from modelwatch.service.schedule import cron_trigger
from modelwatch.service.upkeep import INTERVAL_SECONDS
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch
from modelwatch.sidecar.worker import Worker

__all__ = ["Schedule"]

logger = logging.getLogger("modelwatch")

JITTER_SHARE, JITTER_SECONDS = 0.1, 30.0
"""Checks of many models spread by a tenth of their interval, and never by more than half a minute."""
OPERATIONS, CLEANUP = "operations", "cleanup"


class _NotCancelled(logging.Filter):
    """Keeps quiet about jobs that a stop cancelled before they began: that is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


_NOT_CANCELLED = _NotCancelled()


class Schedule:
    """
    Runs checks while this sidecar has the right to.

    Parameters
    ----------
    watch
        What is checked.
    worker
        Where.
    settings
        How often operations are looked at.
    """

    def __init__(self, watch: Watch, worker: Worker, settings: Settings) -> None:
        self._watch = watch
        self._worker = worker
        self._settings = settings
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = AsyncIOScheduler(job_defaults=defaults, timezone=datetime.timezone.utc)
        self._planned: dict[str, object] = {}
        self._said: set[str] = set()

    def start(self) -> None:
        """Begin, on the running event loop; jobs come with :meth:`sync`."""
        logging.getLogger("apscheduler.executors.default").addFilter(_NOT_CANCELLED)
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more jobs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def next_check(self, model_id: str) -> float | None:
        """Return when a model is checked next, in seconds since the epoch; None if it isn't here."""
        job = self._scheduler.get_job(_job_id(model_id)) if model_id in self._planned else None
        return job.next_run_time.timestamp() if job is not None and job.next_run_time is not None else None

    def sync(self, checked_at: dict[str, float]) -> None:
        """
        Plan one check per model, as they are configured now; none while another process has the checks.

        Parameters
        ----------
        checked_at
            When each model was checked last, in seconds since the epoch.
        """
        configs = {m.config.model_id: m.config for m in self._watch.models()} if self._watch.owner else {}
        for model_id in set(self._planned) - {*configs, *([""] if configs else [])}:
            for job in (_job_id(model_id),) if model_id else (OPERATIONS, CLEANUP):
                self._scheduler.remove_job(job)
            del self._planned[model_id]
        for model_id, config in configs.items():
            plan = (config.schedule, config.interval_seconds, self._watch.jobs.timezone)
            if self._planned.get(model_id) != plan:
                self._plan(config, checked_at.get(model_id))
                self._planned[model_id] = plan
        if configs and "" not in self._planned:
            self._scheduler.add_job(
                self._operations,
                IntervalTrigger(seconds=self._settings.operational_seconds),
                id=OPERATIONS,
                next_run_time=_utc(self._watch.clock()),
            )
            self._scheduler.add_job(
                self._clean_up,
                IntervalTrigger(seconds=INTERVAL_SECONDS),
                id=CLEANUP,
                next_run_time=_utc(self._watch.clock() + self._settings.cleanup_seconds),
            )
            self._planned[""] = True

    def _plan(self, config: ModelMonitoringConfig, checked_at: float | None) -> None:
        now, cron = self._watch.clock(), config.cron
        options: dict[str, Any] = {}
        if cron is not None:
            trigger = cron_trigger(cron, self._watch.jobs.timezone)
        else:
            interval = config.interval_seconds
            trigger = IntervalTrigger(seconds=interval, jitter=min(interval * JITTER_SHARE, JITTER_SECONDS))
            # What is overdue is made up for at once; what was checked a moment ago, by whomever, is not checked again.
            due = now if checked_at is None else min(max(checked_at + interval, now), now + interval)
            options["next_run_time"] = _utc(due)
        self._scheduler.add_job(
            self._check, trigger, args=[config.model_id], id=_job_id(config.model_id), replace_existing=True, **options
        )

    async def _check(self, model_id: str) -> None:
        await self._guarded(f"check of {model_id!r}", lambda: self._watch.jobs.check(model_id, self._watch.clock()))

    async def _operations(self) -> None:
        await self._guarded("operational checks", lambda: self._watch.jobs.operational(self._watch.clock()))

    async def _clean_up(self) -> None:
        """Clean up one step at a time, so that checks get their turn on the worker's thread."""
        upkeep, now = self._watch.upkeep, self._watch.clock()
        await self._guarded("cleanup", lambda: upkeep.step(now))
        while upkeep.running and self._watch.owner and self._scheduler.running:
            await self._guarded("cleanup", lambda: upkeep.step(now))

    async def _guarded(self, what: str, job: Callable[[], object]) -> None:
        """Run a job on the worker; jobs count their own failures, here each kind is logged once until it works."""
        if not self._watch.owner:
            return
        try:
            await asyncio.wrap_future(self._worker.submit(job))
        except asyncio.CancelledError:
            return  # the sidecar stops
        except MissingPackageError as error:
            self._say_once(what, f"{what}: {error}")
        except Exception as error:  # noqa: BLE001 - the background-job boundary: one fault stops no other job
            self._say_once(what, f"{what} failed: {error}", exc_info=True)
        else:
            if what in self._said:
                self._said.discard(what)
                logger.info("%s works again", what)

    def _say_once(self, what: str, text: str, *, exc_info: bool = False) -> None:
        if what not in self._said:
            self._said.add(what)
            logger.warning("%s (said once)", text, exc_info=exc_info)


def _job_id(model_id: str) -> str:
    return f"check:{model_id}"


def _utc(moment: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
