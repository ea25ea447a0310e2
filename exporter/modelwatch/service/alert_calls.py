"""The calls of the public API about alerts: sending one, and who gets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import InputError
from modelwatch.service import actions
from modelwatch.service.answers import Result, answers

if TYPE_CHECKING:
    from modelwatch.policy import AlertLevel
    from modelwatch.service.parts import Parts


class AlertCalls:
    """Alerts of the program's own, and their handlers; part of ``ProductionMonitoringService``."""

    _parts: Parts
    _clock: Callable[[], float]

    @answers
    def send_alert(
        self,
        severity: AlertLevel | str,
        message: str,
        data: dict[str, Any] | None = None,
        alert_type: str = "monitoring",
    ) -> Result:
        """
        Send an alert of your own to the channels that its severity goes to.

        Parameters
        ----------
        severity
            An :class:`AlertLevel` or its name, in any case.
        message
            One sentence.
        data
            Anything that helps; ``data["model_id"]`` names the model it is about.
        alert_type
            A word for what kind of alert it is.

        Returns
        -------
        dict
            status, alert_id, timestamp, level, type, message, data, channels.
        """
        return actions.send_alert(self._parts, severity, message, data, alert_type, self._clock())

    @answers
    def register_alert_handler(self, channel: str, handler: Callable[[dict[str, Any]], Any]) -> Result:
        """
        Send alerts of a channel to your own callable, which gets the alert as a dict.

        Returns
        -------
        dict
            status, channel; warnings where ``alerting.mode`` leaves scheduled alerts to Prometheus.
        """
        given: object = handler  # people pass addresses and URLs here, whatever the annotation says
        if not callable(given):
            msg = f"the handler of channel {channel!r} must be callable, got {type(given).__name__}"
            raise InputError(msg)
        warnings = self._parts.add_handler(channel, handler)
        return {"status": "success", "channel": channel} | ({"warnings": warnings} if warnings else {})
