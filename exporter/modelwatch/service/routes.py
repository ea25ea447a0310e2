"""Which channels an alert goes to, and who delivers there: receivers of the configuration, handlers of the program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from modelwatch.config import (
    ModelMonitoringConfig,
    MonitoringConfig,
    channels_without_receiver,
    environment_receivers,
    validate_name,
)
from modelwatch.exceptions import did_you_mean
from modelwatch.notify.handlers import build_handler, build_handlers, check_handler
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.secret_files import secret_problem
from modelwatch.policy import Severity, channels_for, is_quiet
from modelwatch.service.models import ModelBook

logger = logging.getLogger("modelwatch")

LOG = "log"


class AlertRoutes:
    """
    Channels, and the way from a severity of a model to them.

    Parameters
    ----------
    config
        Receivers and routing.
    book
        The models, with the channels they name.
    outbox
        Where handlers are put.
    """

    def __init__(self, config: MonitoringConfig, book: ModelBook, outbox: Outbox) -> None:
        self._book = book
        self._outbox = outbox
        # Replaced whole, since one thread routes while another adds.
        self._handlers: frozenset[str] = frozenset()
        self.receivers: dict[str, Any] = {}
        self.configure(config)

    def configure(self, config: MonitoringConfig) -> None:
        """
        Take over receivers and routing of a configuration; handlers of the program stay.

        Raises
        ------
        ConfigError
            If a receiver of the environment is wrong; nothing has changed then.
        """
        receivers = {**environment_receivers(), **config.alerting.receivers}
        handlers = build_handlers(receivers)
        for name in {*self.receivers} - {*receivers, *self._handlers}:
            self._outbox.remove_handler(name)
        for name, handler in handlers.items():
            if name not in self._handlers:
                self._outbox.add_handler(name, handler)
        self.alerting, self.receivers = config.alerting, receivers
        self._zone = ZoneInfo(config.timezone or "UTC")

    @property
    def channels(self) -> frozenset[str]:
        """All channels that somebody delivers to."""
        return frozenset({LOG, *self.receivers, *self._handlers})

    @property
    def handlers(self) -> frozenset[str]:
        """The channels that the program delivers to by a handler of its own."""
        return self._handlers

    def add_handler(self, channel: str, handler: Callable[[dict[str, Any]], Any]) -> None:
        """
        Send a channel's alerts to a callable.

        Raises
        ------
        InputError
            If the channel is no name, or calling the handler would deliver nothing.
        """
        name = validate_name(channel, "channel")
        check_handler(name, handler)
        self._outbox.add_handler(name, handler)
        self._handlers |= {channel}

    def remove_handler(self, channel: str) -> None:
        """Deliver to a channel by its receiver, if the configuration has one, else no more."""
        self._handlers -= {channel}
        if channel in self.receivers:
            self._outbox.add_handler(channel, build_handler(self.receivers[channel]))
        else:
            self._outbox.remove_handler(channel)

    def route(self, severity: Severity, model_id: str | None) -> tuple[str, ...]:
        """Return the channels that a severity of a model goes to."""
        model_channels = None
        if model_id is not None and model_id in self._book:
            config = self._book.get(model_id).config
            model_channels = config.alert_channels if config.channels_written else None
        return channels_for(
            severity,
            model_channels,
            {channel: self.receivers.get(channel) for channel in sorted(self.channels)},
            self.alerting.severity_routing,
            reachable=self.channels,
        )

    def rests(self, channel: str, severity: Severity, now: float) -> bool:
        """Return whether quiet hours keep a severity from a channel now."""
        hours = self.alerting.quiet_hours
        moment = datetime.fromtimestamp(now, self._zone)
        return bool(hours) and is_quiet(severity, channel, self.receivers.get(channel), hours, moment)

    def warnings(self, config: ModelMonitoringConfig, elsewhere: Collection[str] = ()) -> list[str]:
        """Return a sentence for each of a model's channels that reaches nobody, here or `elsewhere`."""
        if not config.channels_written:
            return []
        silent = channels_without_receiver(config, self.alerting, {*self.channels, *elsewhere})
        known = {*self.channels, *elsewhere} - {LOG}
        return [
            f"alert channel {c!r} reaches nobody: no handler or receiver of that name{did_you_mean(c, known)}"
            for c in silent
        ]

    def problems(self, config: ModelMonitoringConfig | None = None) -> list[str]:
        """
        Return a sentence for each channel that can't deliver as things are.

        Its last attempt failed, or a file that holds its secret is of no use.

        Parameters
        ----------
        config
            Only the channels that this model's alerts go to; without it, all.
        """
        mine = set(config.alert_channels) if config is not None and config.channels_written else self.channels
        troubles = self._outbox.troubles
        found = {name: troubles.get(name) or self._secret_problem(name) for name in sorted(mine)}
        return [_cannot(name, problem) for name, problem in found.items() if problem]

    def log_problems(self) -> None:
        """Say which channels can't deliver, before there is something to deliver."""
        for problem in self.problems():
            logger.warning("%s", problem)

    def _secret_problem(self, channel: str) -> str:
        receiver = None if channel in self._handlers else self.receivers.get(channel)
        return "" if receiver is None else secret_problem(receiver)


def _cannot(channel: str, problem: str) -> str:
    return f"alert channel {channel!r} can't deliver: {problem}"
