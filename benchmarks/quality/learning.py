"""A profile that has learnt from counts by hour, as `ReferenceProfile.build` learns from rows and their times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from modelwatch.profile import ReferenceProfile
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.natural import learn_natural
from modelwatch.records import FloatArray

__all__ = ["learned"]


def learned(profile: ReferenceProfile, starts: FloatArray, cells: FloatArray) -> ReferenceProfile:
    """Return the profile with other counts: those of hours, shape (hours, layout.size), that began at `starts`."""
    hours = HourCounts.gathered(starts, cells.astype(np.int64), profile.timezone)
    counts = cells.sum(axis=0).astype(np.int64)
    return replace(
        profile,
        counts=counts,
        rows=int(counts[: profile.layout.features[0].size].sum()),
        days=hours.days,
        strata=hours.strata("48"),
        natural=learn_natural(profile.layout, hours, "48"),
        natural_days=hours.days,
        calibrated=True,
    )
