"""A drift check that somebody asks for: a batch in, a result out, without memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelwatch.checks.common import (
    FAMILIES,
    MULTIVARIATE,
    NO_REFERENCE,
    NO_REFERENCE_PREDICTIONS,
    Absence,
    Subject,
    drifting_features,
    family_of,
    kinds_of,
    members_of,
    nothing,
    result_of,
)
from modelwatch.checks.multivariate import asked_multivariate
from modelwatch.checks.repeats import batch_with_repeats, told_of_batch
from modelwatch.drift.decision import ASKED_BUDGET
from modelwatch.drift.family import score_family, unscored
from modelwatch.drift.reference import strata_of
from modelwatch.drift.tracking import verdict_of
from modelwatch.records import CheckResult, FamilyResult, FloatArray
from modelwatch.windows.dataframe import Batch, Times, count_batch

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["ABSENT", "UNLIKE", "asked_batch", "asked_check", "counted_check"]

ABSENT, UNLIKE = "not in the data", "of another kind than in the reference"
"""What is told of columns."""


def asked_check(
    config: ModelMonitoringConfig,
    profile: ReferenceProfile | None,
    data: Any,  # noqa: ANN401 - any table
    predictions: Any,  # noqa: ANN401 - any column
    now: float,
    *,
    absence: Absence = NO_REFERENCE,
) -> CheckResult:
    """Score a batch that somebody hands over: one check of its own, without memory and without a cap on severity.

    Parameters
    ----------
    config : ModelMonitoringConfig
        ``model_id``, ``model_version``, ``drift``, ``features``.
    profile : ReferenceProfile or None
        The reference; without one the state is "no_reference".
    data : DataFrame, dict of columns, list of dicts, 2-D array or None
        The features.
    predictions : array-like or None
        The predictions.
    now : float
        Seconds since the epoch.
    absence : (str, str)
        State and reason where there is no reference.

    Returns
    -------
    CheckResult
        The window is called "batch".

    Raises
    ------
    InputError
        If the batch can't be read or is empty.
    """
    if profile is None:
        subject = Subject(config, config.model_version, profile, now, time.perf_counter())
        families = {name: nothing(name, absence[1], subject, state=absence[0]) for name in kinds_of(config)}
        return result_of(subject, families, {}, None)
    return asked_batch(config, profile, data, predictions, now)[0]


def asked_batch(
    config: ModelMonitoringConfig,
    profile: ReferenceProfile,
    data: Any,  # noqa: ANN401 - any table
    predictions: Any,  # noqa: ANN401 - any column
    now: float,
    *,
    timestamps: FloatArray | None = None,
    budget: float = ASKED_BUDGET,
) -> tuple[CheckResult, Batch]:
    """Score a batch as :func:`asked_check` does, and return what was counted too.

    Parameters
    ----------
    config, profile, data, predictions, now
        As there; there is a profile.
    timestamps : ndarray, shape (rows,), optional
        Seconds since the epoch: hours are compared with the same hours of the reference, where it knows them.
    budget : float
        The chance of a false alarm, over all features.

    Returns
    -------
    CheckResult, Batch
    """
    batch = batch_with_repeats(count_batch(profile, data, predictions, now), config)
    if timestamps is not None:
        times = Times(strata_of(profile, config.drift))
        times.add(timestamps)
        batch = times.of(batch, len(profile.layout.members))
    given = {"data": data is not None, "prediction": predictions is not None}
    result = counted_check(config, profile, batch, given, now, budget=budget)
    told = told_of_batch(result.families["data"], batch, config, ABSENT)
    return replace(result, families={**result.families, "data": told}), batch


def counted_check(
    config: ModelMonitoringConfig,
    profile: ReferenceProfile,
    batch: Batch,
    given: Mapping[str, bool],
    now: float,
    *,
    budget: float = ASKED_BUDGET,
) -> CheckResult:
    """Score a batch that is counted already, as :func:`asked_check` does.

    Parameters
    ----------
    config, profile, now
        As there.
    batch : Batch
        What was counted.
    given : mapping of str to bool
        Whether it holds "data" and "prediction".
    budget : float
        The chance of a false alarm, over all features.

    Returns
    -------
    CheckResult
    """
    subject = Subject(config, config.model_version, profile, now, time.perf_counter())
    families = {}
    for name in FAMILIES:
        if not given[name]:
            families[name] = nothing(name, f"no current_{'data' if name == 'data' else 'predictions'} was passed",
                                      subject, state="insufficient_data")  # fmt: skip
            continue
        members = members_of(name, profile, config)
        found = (
            unscored(name, "no_reference", NO_REFERENCE_PREDICTIONS)
            if name == "prediction" and not members
            else score_family(name, profile, [batch.counts], config.drift, budget, members=members, only_full=False)
        )
        families[name] = family_of(subject, found, verdict_of(found))
    if MULTIVARIATE in kinds_of(config):
        families[MULTIVARIATE] = (
            asked_multivariate(subject, batch, drifting_features(families), budget)
            if given["data"]
            else nothing(MULTIVARIATE, "no current_data was passed", subject, state="insufficient_data")
        )
    families["data"] = _with_columns(families["data"], batch, config.features.exclude)
    return result_of(subject, families, {batch.counts.window: batch.counts.rows}, None)


def _with_columns(family: FamilyResult, batch: Batch, exclude: Sequence[str]) -> FamilyResult:
    """Say which features the batch lacks, and which of its columns nobody knows: often one is the other, misspelt.

    A column of another kind than the reference's drifts, and is most often a mistake of whoever made the batch.
    """
    told = [family.reason] if family.reason else []
    absent = [name for name in batch.absent if name not in exclude]
    if absent:
        told.append(f"{ABSENT}: {', '.join(absent)}")
        told += [f"not in the reference: {', '.join(batch.unknown)}"] if batch.unknown else []
    if batch.unlike:
        told.append(f"{UNLIKE}: {'; '.join(batch.unlike)}")
    return replace(family, reason="; ".join(told))
