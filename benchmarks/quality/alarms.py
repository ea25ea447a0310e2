"""What the rule that is shipped says of a stream: episodes, delays, and what each window shows by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwatch.checks.replay import replay, together_of
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.windows.together import RowPieces
from quality.worlds import HOUR, Stream

__all__ = ["CONFIG", "UNSCORED", "Heard", "hear"]

CONFIG = ModelMonitoringConfig(model_id="quality")
"""All defaults: hourly checks, windows of an hour, a day and a week, one false alarm a month asked for."""
UNSCORED = -1


@dataclass(frozen=True)
class Heard:
    """What hourly checks say of a model's features.

    Attributes
    ----------
    names : tuple of str
        The features.
    features : ndarray of int, shape (checks, features)
        The severity that is told: what is remembered of earlier checks included.
    windows : dict of str to ndarray of int, each of shape (checks, features)
        What each window shows in that check alone; UNSCORED where it holds too few rows.
    together : ndarray of int, shape (checks,)
        The severity of how the features go together; 0 where no rows are given.
    """

    names: tuple[str, ...]
    features: NDArray[np.int64]
    windows: dict[str, NDArray[np.int64]]
    together: NDArray[np.int64]

    @property
    def model(self) -> NDArray[np.int64]:
        """The highest severity of all features, and of how they go together; shape (checks,)."""
        return np.asarray(np.maximum(self.features.max(axis=1), self.together))

    def episodes(self, level: int = Severity.WARNING) -> int:
        """Return how often the model's data began to be in alarm."""
        loud = np.concatenate([[False], self.model >= level])
        return int((loud[1:] & ~loud[:-1]).sum())

    def delay(self, feature: str, since: int, level: int = Severity.WARNING) -> float:
        """Return after how many checks from hour `since` on a feature was in alarm, 1 for the first; inf for never."""
        after = self.features[since:, self.names.index(feature)] >= level
        return float(np.argmax(after)) + 1.0 if after.any() else float("inf")

    def share(self, window: str, feature: str, since: int, level: int = Severity.WARNING) -> float:
        """Return in which share of a window's checks from hour `since` on it shows an alarm of a feature."""
        found = self.windows[window][since:, self.names.index(feature)]
        return float((found[found != UNSCORED] >= level).mean())


def hear(
    profile: ReferenceProfile,
    given: Stream,
    config: ModelMonitoringConfig = CONFIG,
    rows: RowPieces | None = None,
) -> Heard:
    """Run the scheduled checks over a stream, one at the end of each hour; with its rows, for what takes them too."""
    names = profile.feature_names
    places = {name: place for place, name in enumerate(names)}
    checks = len(given.starts)
    features = np.zeros((checks, len(names)), dtype=np.int64)
    windows = {label: np.full((checks, len(names)), UNSCORED) for label in config.drift.windows}
    together = np.zeros(checks, dtype=np.int64)
    first = float(given.starts[0]) + HOUR
    sums = None if rows is None else together_of(profile, config, given.starts, rows, first=first, until=given.end)
    steps = replay(
        profile, config, given.starts, given.rows, given.cells, first=first, until=given.end, together=sums
    )  # fmt: skip
    for check, step in enumerate(steps):
        together[check] = 0 if step.multivariate is None else int(step.multivariate.severity)
        scored, verdict = step.families["data"]
        for name, severity in verdict.feature_severity.items():
            features[check, places[name]] = int(severity)
        table = scored.table
        if table is None:
            continue
        columns = [places[name] for name in scored.features]
        for place in range(table.watched, len(table.windows)):
            made = table.tested[place].any(axis=-1)
            windows[table.windows[place].window][check, columns] = np.where(
                made, scored.severity[place].max(axis=-1), UNSCORED
            )
    return Heard(names, features, windows, together)
