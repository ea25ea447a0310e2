"""What cases are made from: the models of the configuration, and times that are whole numbers of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelwatch.conventions import MODEL_ID, MODEL_VERSION
from modelwatch.policy import Severity, alert_severity
from modelwatch_rules.limits import MIN_REQUESTS
from modelwatch_rules.overrides import model_severity
from modelwatch_rules.unit_tests.case import Case

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig
    from modelwatch_rules.promql import Style
    from modelwatch_rules.timing import Timing

__all__ = ["IN_CODE", "OTHER_VERSION", "VERSION", "Context"]

IN_CODE = "registered_in_code"
"""A model that no configuration names: rules cover it all the same."""
VERSION, OTHER_VERSION = "7", "8"


@dataclass(frozen=True)
class Context:
    """The configuration that rules are made from, and how fast they are."""

    config: MonitoringConfig
    timing: Timing
    style: Style

    @property
    def step(self) -> float:
        """Seconds from sample to sample of most cases: the short window holds three samples, or two on Prometheus 3."""
        return self.timing.short_window / 2

    @property
    def long_step(self) -> float:
        """Seconds from sample to sample where one request a sample is just enough in the long window."""
        return self.timing.long_window / MIN_REQUESTS

    @property
    def subject(self) -> str:
        """A model of the configuration."""
        return next((model.model_id for model in self.config.models), IN_CODE)

    @property
    def neighbour(self) -> str:
        """Another model, which must not be taken for the first."""
        return next((model.model_id for model in self.config.models if model.model_id != self.subject), f"{IN_CODE}_2")

    def model(self, model_id: str | None = None, version: str = VERSION) -> dict[str, str]:
        """Return the labels of one version of a model."""
        return {MODEL_ID: self.subject if model_id is None else model_id, MODEL_VERSION: version}

    def settings(self, model_id: str) -> ModelMonitoringConfig | None:
        """Return the first configuration of a model."""
        return next((model for model in self.config.models if model.model_id == model_id), None)

    def tiers(self, labels: Mapping[str, str], tiers: Sequence[Severity], severity: Severity) -> list[dict[str, str]]:
        """Return the alerts that a condition of some severity fires: its own tier and those below."""
        names = [self.style.severities[tier] for tier in self.style.tiers(tiers) if tier <= severity]
        return [{**labels, "severity": name} for name in names]

    def severity(self, alert: str, model_id: str | None = None) -> Severity:
        """Return how bad an alert without a threshold is for a model."""
        config = None if model_id is None else self.settings(model_id)
        return model_severity(self.config, model_id, alert) if model_id and config else alert_severity(None, alert)

    @property
    def everybody(self) -> list[str]:
        """The models of the configuration, and one that it does not name."""
        return [*dict.fromkeys(model.model_id for model in self.config.models), IN_CODE]

    def alarms(self, alert: str, *model_ids: str) -> list[dict[str, str]]:
        """Return the alerts without a threshold that models fire, by their labels; none of who wants none."""
        severities = {model_id: self.severity(alert, model_id) for model_id in model_ids}
        return [
            {MODEL_ID: model_id, "severity": self.style.severities[severity]}
            for model_id, severity in severities.items()
            if severity is not Severity.NONE
        ]

    def case(self, name: str, group: str, step: float | None = None) -> Case:
        """Return a case without anything in it."""
        return Case(name, f"modelwatch-{group}.rules", self.step if step is None else step)

    def up(self, seconds: float, step: float | None = None) -> float:
        """Return a time that is a multiple of `step`, not before `seconds`."""
        step = step or self.step
        return math.ceil(round(seconds / step, 6)) * step

    def down(self, seconds: float) -> float:
        """Return a time that is a multiple of the usual step, not after `seconds`."""
        return math.floor(round(seconds / self.step, 6)) * self.step
