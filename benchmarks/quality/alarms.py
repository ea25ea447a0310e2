"""What the rule that is shipped says of a stream: episodes, delays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwatch.config import ModelMonitoringConfig
from modelwatch.checks.replay import replay
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from quality.worlds import HOUR, Stream

__all__ = ["CONFIG", "Heard", "hear"]

CONFIG = ModelMonitoringConfig(model_id="quality")
"""All defaults: hourly checks, windows of an hour, a day and a week, one false alarm a month asked for."""


@dataclass(frozen=True)
class Heard:
    """The severities of hourly checks.

    Attributes
    ----------
    model : ndarray of int, shape (checks,)
        The highest of all features.
    features : dict of str to ndarray of int, shape (checks,)
        Of the features that ever had any.
    """

    model: NDArray[np.int64]
    features: dict[str, NDArray[np.int64]]

    def episodes(self, level: int = Severity.WARNING) -> int:
        """Return how often the model's data began to be in alarm."""
        loud = np.concatenate([[False], self.model >= level])
        return int((loud[1:] & ~loud[:-1]).sum())

    def delay(self, feature: str, since: int, level: int = Severity.WARNING) -> float:
        """Return after how many checks from the hour `since` on a feature was in alarm, 1 for the first; inf if never."""
        after = self.features.get(feature, np.zeros(0, dtype=np.int64))[since:] >= level
        return float(np.argmax(after)) + 1.0 if after.any() else float("inf")


def hear(profile: ReferenceProfile, given: Stream, config: ModelMonitoringConfig = CONFIG) -> Heard:
    """Run the scheduled checks over a stream, one at the end of each hour."""
    steps = [
        step.families["data"][1].feature_severity
        for step in replay(
            profile, config, given.starts, given.rows, given.cells, first=given.starts[0] + HOUR, until=given.end
        )
    ]
    features: dict[str, NDArray[np.int64]] = {}
    for place, found in enumerate(steps):
        for name, severity in found.items():
            if severity > Severity.NONE:
                features.setdefault(name, np.zeros(len(steps), dtype=np.int64))[place] = int(severity)
    model = np.max([np.zeros(len(steps), dtype=np.int64), *features.values()], axis=0)
    return Heard(model, features)
