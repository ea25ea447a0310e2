"""What a version of a model is looked at by besides the whole of it: its segments, and against another version."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.conventions import AGAINST
from modelwatch.policy import Severity
from modelwatch.profile.hours import HourCounts
from modelwatch.records import FamilyResult

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.queries import StoreQueries

__all__ = ["Part", "against", "baseline_part", "brief"]

HOUR = 3600.0


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes
    ----------
    name : str
        A segment, or :func:`against` a version.
    profile : ReferenceProfile
        What it is compared with.
    segment : str or None
        Of which segment rows are taken; None for all.
    gross_only : bool
        Whether nothing but gross changes is told: of a segment, until it is known what is usual for it.
    """

    name: str
    profile: ReferenceProfile
    segment: str | None = None
    gross_only: bool = False


def against(version: str) -> str:
    """Return the name of the comparison with a version.

    >>> against("7")
    'against version 7'
    """
    return f"{AGAINST}{version}"


def baseline_part(
    queries: StoreQueries,
    config: ModelMonitoringConfig,
    profile: ReferenceProfile,
    longest: float,
    now: float,
) -> Part | None:
    """Return the comparison with the baseline version: its rows of the same hours stand for the reference.

    Both versions saw the same hours, so that nothing is allowed for natural variation.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    config : ModelMonitoringConfig
        ``drift.compare``.
    profile : ReferenceProfile
        Whose cells both versions are counted over.
    longest : float
        Length of the longest window in seconds.
    now : float
        Seconds since the epoch.

    Returns
    -------
    Part or None
        None if none is asked for, or the baseline has fewer rows than a window needs.
    """
    compare = config.drift.compare
    if compare is None:
        return None
    # From a full hour on, so that no hour of the week is there twice, in parts.
    start = math.ceil((now - longest) / HOUR) * HOUR
    series = queries.interval_counts(
        config.model_id, profile.id, start, now, compare.baseline_version, size=profile.layout.size
    )
    kept = series.starts >= start
    cells = np.asarray(series.cells[kept], dtype=np.int64)
    rows = int(series.rows[kept].sum())
    if rows < config.drift.min_rows:
        return None
    hours = HourCounts.gathered(series.starts[kept], cells, profile.timezone)
    reference = replace(
        profile,
        counts=cells.sum(axis=0),
        rows=rows,
        strata=hours.strata("168"),
        natural={},
        natural_days=0,
        calibrated=True,
    )
    return Part(against(compare.baseline_version), reference)


def brief(families: Mapping[str, FamilyResult]) -> dict[str, FamilyResult]:
    """Return the outcome of a part without the features that did not change: there may be many parts."""
    out = {}
    for name, family in families.items():
        said = {f: severity for f, severity in family.feature_severity.items() if severity >= Severity.INFO}
        tests = tuple(test for test in family.tests if test.feature in said)
        out[name] = replace(family, feature_severity=said, tests=tests)
    return out
