"""What a profile learns from the times of its rows: strata, and natural variation."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from modelwatch.exceptions import ProfileError, did_you_mean
from modelwatch.profile.divergence import d_to_js, divergence, expected, sampling
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.natural import LEAST_DAYS, LEAST_WEEKS, learn_natural
from modelwatch.profile.reference import ReferenceProfile
from modelwatch.profile.strata import Strata, StrataKind
from modelwatch.records import PREDICTIONS, CellLayout, prediction_words

AskedStrata = Literal["auto", "none", "48", "168"]
ASKED_STRATA: tuple[AskedStrata, ...] = ("auto", "none", "48", "168")
SEASONAL = 0.1
"""Hours that are further from the whole, as a Jensen-Shannon distance, are worth a word."""
_SURE = 4.0


def read_strata(asked: object, *, timed: bool) -> AskedStrata:
    """Return which strata are asked for; 48 and 168 may be numbers.

    >>> read_strata(48, timed=True)
    '48'
    """
    for option in ASKED_STRATA:
        if not isinstance(asked, bool) and str(asked) == option:
            if option in ("48", "168") and not timed:
                raise ProfileError(f"strata is {option!r}, but there are no timestamps that could tell hours apart")
            return option
    hint = did_you_mean(str(asked)[:40], ASKED_STRATA)
    raise ProfileError(f"strata is {str(asked)[:40]!r}; it must be one of {', '.join(ASKED_STRATA)}{hint}")


def calibrate(profile: ReferenceProfile, hours: HourCounts, asked: AskedStrata = "auto") -> ReferenceProfile:
    """Return a profile that has learnt what the hours of its reference tell; of too few days, only a warning.

    Parameters
    ----------
    profile : ReferenceProfile
        Whose cells were counted.
    hours : HourCounts
        Its reference by hours, of all days on which nothing is known to have been wrong.
    asked : {"auto", "none", "48", "168"}
        Hours of the day on weekdays and weekends (48, which auto means), of the week (168), or no strata.

    Returns
    -------
    ReferenceProfile
    """
    days = hours.days
    if days < LEAST_DAYS:
        few = f"timestamps cover {days} day{'s' * (days != 1)}: tolerances are learnt from {LEAST_DAYS} days on"
        return replace(profile, warnings=(*profile.warnings, few))
    warnings = list(profile.warnings)
    kind: StrataKind | None = None if asked == "none" else "48" if asked == "auto" else asked
    if kind == "168" and days < 7 * LEAST_WEEKS:
        warnings.append(f"hours of the week (168) need {LEAST_WEEKS} weeks, there are {days} days: 48 strata are used")
        kind = "48"
    strata = hours.strata(kind) if kind else None
    if strata is not None and profile.timezone is None and (season := _season(profile.layout, strata)):
        warnings.append(season)
    return replace(
        profile,
        strata=strata,
        natural=learn_natural(profile.layout, hours, kind),
        natural_days=days,
        calibrated=True,
        warnings=tuple(warnings),
    )


def _season(layout: CellLayout, strata: Strata) -> str:
    """Say which member differs most by the hour, if one does: which clock says the hour then matters."""
    pools = strata.pools(layout)
    farthest, where = SEASONAL, None
    for member, offset in zip(layout.members, layout.offsets, strict=True):
        cells = slice(offset, offset + member.shape_size)
        o, r = np.broadcast_arrays(pools.counts[:, cells], pools.whole[cells])
        n, m = o.sum(axis=-1), r.sum(axis=-1)
        scored = (n > 0) & (m > 0)
        d, k = divergence(o, r, n, m, scored)
        # The largest of many hours: by chance alone it is above its mean, but hardly ever by so much.
        chance = expected(o, r, n, m, scored) + _SURE * np.sqrt(2.0 * k) * sampling(n, m, scored)
        js = np.where(scored, d_to_js(d - chance), 0.0)
        if js.max() > farthest:
            farthest, where = float(js.max()), (member.name, int(js.argmax()))
    if where is None:
        return ""
    name = f"the {prediction_words(where[0])}" if where[0] in PREDICTIONS else repr(where[0])
    return (
        f"traffic differs by the hour, most in {name} at {where[1] % 24}:00 UTC (JS {farthest:.2f}): pass timezone, so"
        " that hours are those of your business"
    )
