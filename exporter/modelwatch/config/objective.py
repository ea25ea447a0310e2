"""What is promised of a model: shares of bad requests that are still fine over a month, and how loud alerts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from modelwatch.config.base import ConfigModel, Number, duration_validator
from modelwatch.config.problems import mistake
from modelwatch.config.values import parse_duration, show
from modelwatch.exceptions import did_you_mean

__all__ = ["ALERT_SEVERITIES", "DEFAULT_ALERT_SEVERITIES", "AlertName", "AlertSeverity", "Objective"]

AlertSeverity = Literal["none", "info", "warning", "error", "critical"]
ALERT_SEVERITIES = "one of 'none', 'info', 'warning', 'error', 'critical'"

DEFAULT_ALERT_SEVERITIES: Mapping[str, AlertSeverity] = {
    "MLModelNoPredictions": "critical",
    "MLModelTrafficAnomaly": "warning",
    "MLModelInputMissing": "warning",
    "MLModelInputNovel": "warning",
    "MLModelStuckOutput": "warning",
    "MLModelReferenceMissing": "warning",
    "ModelwatchCheckStale": "warning",
    "ModelwatchCheckFailing": "warning",
    "ModelwatchRecordsDropped": "warning",
    "ModelwatchSeriesFolded": "info",
}
"""Alerts about one model that come with a severity of their own: what `severity` may change.

Drift, performance, latency and errors are as bad as their thresholds say, and a budget as fast as it burns.
"""


def _known_alert(value: object) -> object:
    if value not in DEFAULT_ALERT_SEVERITIES:
        allowed = ", ".join(DEFAULT_ALERT_SEVERITIES)
        advice = did_you_mean(str(value), DEFAULT_ALERT_SEVERITIES)
        raise mistake(f"{show(value)} is not an alert whose severity can be changed here{advice}; allowed: {allowed}")
    return value


AlertName = Annotated[str, BeforeValidator(_known_alert)]

SHORTEST_PERIOD, LONGEST_PERIOD = 28 * 86400.0, 90 * 86400.0


class Objective(ConfigModel):
    """Service level objectives of a model.

    Parameters
    ----------
    error_rate : float, optional
        Share of attempted predictions, above 0 and below 1, that may fail over the window.
    latency_ms : float, optional
        Milliseconds within which requests are to be answered; the share that may take longer is what the model's
        `latency_quantile` leaves (0.05 at the default of 0.95).
    window : str, default "30d"
        The period that the shares are meant over, from 28 to 90 days: over twice the time, what pages must burn
        twice as fast. Tickets are for any overspending that lasts.

    Examples
    --------
    >>> Objective(error_rate=0.001).window_seconds
    2592000.0
    """

    error_rate: Number | None = Field(None, gt=0, lt=1, description="a number above 0 and below 1")
    latency_ms: Number | None = Field(None, gt=0, description="a number of milliseconds above 0")
    window: Annotated[str, duration_validator(SHORTEST_PERIOD, LONGEST_PERIOD, None)] = Field(
        "30d", description='a duration such as "30d"'
    )

    @model_validator(mode="after")
    def _promises_something(self) -> Objective:
        if self.error_rate is None and self.latency_ms is None:
            raise mistake("an objective needs 'error_rate', 'latency_ms' or both")
        return self

    @property
    def window_seconds(self) -> float:
        """The period in seconds."""
        return parse_duration(self.window, default_unit=None)
