"""The calls of the public API about alerts: sending one, who gets them, and silence for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelwatch.service import actions, silences
from modelwatch.service.answers import Result, answers

if TYPE_CHECKING:
    from datetime import timedelta

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
        Send an alert of your own to the channels that its severity goes to, at any hour: quiet hours are for checks.

        Parameters
        ----------
        severity
            An :class:`AlertLevel` or its name, in any case.
        message
            One sentence.
        data
            Anything that helps; ``data["model_id"]`` names the model it is about, and so its channels.
        alert_type
            A word for what kind of alert it is.

        Returns
        -------
        dict
            status, alert_id, timestamp (ISO-8601 UTC), level, type, message, data, channels: by channel "sent",
            "queued" or "failed: why". It waits up to 5 s for the channels; on an event loop it returns at once, and
            they are "queued", or "failed: …" where a thousand alerts are on their way already. Status and error if
            severity or data are not usable.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import AlertLevel, ProductionMonitoringService
        >>> got = []
        >>> with ProductionMonitoringService(
        ...     storage_path=tempfile.mkdtemp(), alert_handlers={"email": got.append}, background=False
        ... ) as service:
        ...     answer = service.send_alert(AlertLevel.ERROR, "accuracy fell", {"accuracy": 0.81})
        >>> answer["channels"]["email"], got[0]["level"], got[0]["message"], got[0]["data"]
        ('sent', 'error', 'accuracy fell', {'accuracy': 0.81})
        """
        return actions.send_alert(self._parts, severity, message, data, alert_type, self._clock())

    @answers
    def register_alert_handler(self, channel: str, handler: Callable[[dict[str, Any]], Any]) -> Result:
        """
        Send alerts of a channel to your own callable; a model's warning that the channel reaches nobody ends with it.

        Parameters
        ----------
        channel
            A name, such as those in ``alert_channels``; "email", "slack" and "pagerduty" have their severities, any
            other name is told from "warning" up. The handler takes the place of a receiver of that name.
        handler
            Gets the alert as a dict: alert_id, timestamp, level, type, message, data, model_id, status ("firing" or
            "resolved"), fingerprint, starts_at. Called on a thread of the channel's own; what it raises is logged, and
            the alert tried again.

        Returns
        -------
        dict
            status, channel; warnings where ``alerting.mode`` leaves scheduled alerts to Prometheus; status and error
            if the handler can't be called, or is async or a generator.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     service.register_alert_handler("email", lambda alert: print(alert["message"]))
        ...     _ = service.send_alert("error", "accuracy fell")
        {'status': 'success', 'channel': 'email'}
        accuracy fell
        """
        warnings = self._parts.add_handler(channel, handler)
        return {"status": "success", "channel": channel} | ({"warnings": warnings} if warnings else {})

    @answers
    def silence_alerts(
        self,
        model_id: str | None = None,
        *,
        alertname: str | None = None,
        duration: str | float | timedelta = "4h",
        comment: str = "",
        created_by: str = "",
    ) -> Result:
        """
        Tell nobody of a model's alerts for a while, on every process of this storage, or end such a silence.

        Checks go on, and what they find is shown in the status. What still holds when the silence ends is told then;
        who was told before it began that an alert fires is told when that is over. ``send_alert`` is never silenced.

        May wait for the store, for seconds while others write; on an event loop: ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        model_id
            A registered model; None for all.
        alertname
            The name of an alert, such as ``"MLModelDataDrift"``; None for all.
        duration
            ``"4h"``, ``"30m"``, a number of seconds, or a timedelta, up to 366 days. 0 ends the silences in force for
            this model and alert.
        comment, created_by
            Why, and who says so; shown in the status.

        Returns
        -------
        dict
            status, silence_id, model_id, alertname, starts_at, ends_at, comment, created_by; with a duration of 0
            status, model_id, alertname, ends_at and ended, the ids of the silences that it ended. warnings where a
            wider silence goes on, or where Alertmanager is who tells.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     begun = service.silence_alerts("ad_score", duration="2h", comment="deployment")
        ...     ended = service.silence_alerts("ad_score", duration=0)
        >>> begun["status"], ended["ended"] == [begun["silence_id"]]
        ('success', True)
        """
        return silences.silence(self._parts, model_id, alertname, duration, comment, created_by, self._clock())
