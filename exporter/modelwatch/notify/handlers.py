"""From configured receivers to callables that deliver an alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelwatch.callables import kind_that_waits
from modelwatch.exceptions import InputError
from modelwatch.notify.log import LogHandler

if TYPE_CHECKING:
    from modelwatch.config.alerting import Receiver

__all__ = ["Handler", "build_handler", "build_handlers", "check_handler"]

Handler = Callable[[dict[str, Any]], Any]
"""Takes an alert dict (contract 1.1), delivers it or raises; what it returns is ignored."""


def build_handler(receiver: Receiver) -> Handler:
    """Return the handler of one configured receiver."""
    # The senders import smtplib, ssl and urllib: only those who use them pay for that.
    if receiver.type == "log":
        return LogHandler()
    if receiver.type == "email":
        from modelwatch.notify.mail import EmailHandler

        return EmailHandler(receiver)
    if receiver.type == "slack":
        from modelwatch.notify.slack import SlackHandler

        return SlackHandler(receiver)
    if receiver.type == "pagerduty":
        from modelwatch.notify.pagerduty import PagerDutyHandler

        return PagerDutyHandler(receiver)
    if receiver.type == "webhook":
        from modelwatch.notify.webhook import WebhookHandler

        return WebhookHandler(receiver)
    from modelwatch.notify.alertmanager import AlertmanagerHandler

    return AlertmanagerHandler(receiver)


def build_handlers(receivers: Mapping[str, Receiver]) -> dict[str, Handler]:
    """Return the handlers of configured receivers by channel name; there is always one for ``log``."""
    handlers: dict[str, Handler] = {"log": LogHandler()}
    handlers.update({name: build_handler(receiver) for name, receiver in receivers.items()})
    return handlers


def check_handler(channel: object, handler: object) -> None:
    """Refuse what would deliver no alert when it is called, now rather than at the first alert.

    Raises
    ------
    InputError
        If it can't be called, or is async or a generator.
    """
    if not callable(handler):
        msg = f"the handler of channel {channel!r:.80} must be callable, got {type(handler).__name__}"
        raise InputError(msg)
    if kind := kind_that_waits(handler):
        msg = (
            f"the handler of channel {channel!r:.80} is {kind}, which delivers nothing when it is called: pass a plain"
            " function (it runs on a thread of its own and may wait)"
        )
        raise InputError(msg)
