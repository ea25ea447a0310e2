"""Two tables, or a table and a profile: did it drift? For notebooks, scripts and the command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelwatch.checks import asked_batch, only
from modelwatch.config import DriftMonitoringConfig, ModelMonitoringConfig
from modelwatch.drift.decision import ASKED_BUDGET
from modelwatch.drift.reference import reference_cells, strata_of
from modelwatch.exceptions import InputError, did_you_mean
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.tables import Table, read_table, read_values
from modelwatch.profile.times import epoch_seconds, read_zone
from modelwatch.reports.content import Content, content_of
from modelwatch.reports.html import html_fragment, html_page
from modelwatch.reports.junit import junit_report
from modelwatch.reports.plain import json_report, text_report

if TYPE_CHECKING:
    from modelwatch.records import CheckResult, WindowCounts

__all__ = ["NAMELESS", "Comparison", "compare", "comparison_of", "severity_named"]

NAMELESS = "compared"
"""Stands for a model where none is named."""


class Comparison:
    """What :func:`compare` found: prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    content : Content
        What the reports say.
    profile : ReferenceProfile
        What the reference looks like.
    result : CheckResult
        Every number.
    """

    def __init__(self, content: Content, profile: ReferenceProfile, result: CheckResult) -> None:
        self.content = content
        self.profile = profile
        self.result = result

    @property
    def drifted(self) -> bool:
        """Whether anything drifted, at `min_severity` or above."""
        return self.content.drifted

    @property
    def severity(self) -> str:
        """The worst severity: "none", "info", "warning", "error" or "critical"."""
        return self.content.severity.label

    @property
    def drifted_features(self) -> tuple[str, ...]:
        """Names of the features that drifted, worst first; the prediction is no feature."""
        return tuple(entry.name for entry in self.content.found if entry.drift_type == "data")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON values, as ``monitor_model_drift`` tells it."""
        return dict(self.content.data)

    def to_json(self) -> str:
        """Return :meth:`to_dict` as text."""
        return json_report(self.content)

    def to_html(self) -> str:
        """Return a page of its own, which needs nothing but itself."""
        return html_page(self.content)

    def to_junit(self) -> str:
        """Return JUnit XML: a test case for each feature."""
        return junit_report(self.content)

    def _repr_html_(self) -> str:
        return html_fragment(self.content)

    def __str__(self) -> str:
        return text_report(self.content)

    __repr__ = __str__


def compare(
    reference: Any,  # noqa: ANN401 - a profile or any table
    current: Any,  # noqa: ANN401 - any table
    *,
    predictions: str | Sequence[Any] | None = None,
    timestamps: str | Sequence[Any] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    timezone: str | None = None,
    drift: DriftMonitoringConfig | Mapping[str, Any] | None = None,
    importance: Mapping[str, float] | None = None,
    min_severity: str = "warning",
    false_alarm_rate: float = ASKED_BUDGET,
    model_id: str = "",
) -> Comparison:
    """Compare a table with a reference: which features drifted, how far, and how.

    Parameters
    ----------
    reference : DataFrame, dict of columns, list of dicts, 2-D array or ReferenceProfile
        A time when all was well; 100 rows or more.
    current : DataFrame, dict of columns, list of dicts or 2-D array
        What is asked about.
    predictions : str or (array-like, array-like), optional
        What the model returned: a column of both tables, or an array for each of them. Beside a profile the first
        array is not looked at.
    timestamps : str or (array-like, array-like), optional
        When each row was: a column, or an array for each table. From 14 days on, hours are compared with the same
        hours of the same kind of day.
    exclude : sequence of str, optional
        Columns to leave out: identifiers, labels.
    categorical : sequence of str, optional
        Columns of numbers that are codes.
    timezone : str, optional
        IANA name of the zone that naive timestamps are in; UTC if not given.
    drift : DriftMonitoringConfig or dict, optional
        ``thresholds``, ``tolerance``, ``min_rows``, ``bins``, as for monitoring.
    importance : mapping of feature to weight, optional
        Weights features by when drift is attributed.
    min_severity : {"info", "warning", "error", "critical"}, default "warning"
        From where on something counts as drifted.
    false_alarm_rate : float, default 1/720
        How often a comparison of data without any drift may say that there is some, over all features.
    model_id : str, optional
        Named in the reports.

    Returns
    -------
    Comparison
        ``print`` it, look at it in a notebook, or ask ``.drifted``, ``.drifted_features``, ``.to_dict()``,
        ``.to_html()``.

    Raises
    ------
    ProfileError, InputError, ConfigError
        If a table can't be read or an argument is wrong; the message says why.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwatch import compare
    >>> rng = np.random.default_rng(0)
    >>> before = {"km": rng.gamma(2.0, 500.0, 5000), "plan": rng.choice(["free", "pro"], 5000)}
    >>> found = compare(before, {"km": before["km"] * 0.62, "plan": before["plan"]})
    >>> found.drifted, found.drifted_features, found.severity
    (True, ('km',), 'error')
    >>> print(str(found).partition(" (mean")[0])
    DRIFT (error): 1 of 2 inputs drifted: km
    >>> compare(before, before).drifted
    False
    """
    least = severity_named(min_severity)
    if not 0.0 < false_alarm_rate < 1.0:
        raise InputError(f"false_alarm_rate must be above 0 and below 1, got {false_alarm_rate!r}")
    before = None if isinstance(reference, ReferenceProfile) else _read(reference, "reference")
    names = _column_names(reference, before)
    now = _read(current, "current", names)
    _check_known(exclude, {*(names or ()), *now.columns})
    config = ModelMonitoringConfig(
        model_id=model_id or NAMELESS,
        drift=drift if drift is not None else {},
        features={"exclude": list(exclude), "importance": dict(importance or {})},
    )
    pairs = {"predictions": _pair(predictions, "predictions"), "timestamps": _pair(timestamps, "timestamps")}
    profile = reference if before is None else _profile(before, pairs, config, categorical, timezone)
    told = {name: _values(now, pair, 1, name, "current") for name, pair in pairs.items()}
    columns = _features(now, pairs, exclude)
    times = told["timestamps"]
    if times is not None:
        times = epoch_seconds(read_values(times, "timestamps", now.rows), read_zone(timezone or profile.timezone))
    result, batch = asked_batch(
        config, profile, columns, told["predictions"], 0.0, timestamps=times, budget=false_alarm_rate
    )
    if told["predictions"] is None:
        result = only(result, ("data", "multivariate"))
    notes = profile.warnings if before is not None else ()
    return comparison_of(result, profile, batch.counts, config, least, named=bool(model_id), notes=notes)


def comparison_of(
    result: CheckResult,
    profile: ReferenceProfile,
    counts: WindowCounts,
    config: ModelMonitoringConfig,
    min_severity: Severity,
    *,
    named: bool,
    notes: Sequence[str] = (),
) -> Comparison:
    """Return what a check of a batch comes to, with the reference that it was compared with."""
    reference = reference_cells(profile, [counts], config.drift)[0]
    if counts.strata is None and strata_of(profile, config.drift) is not None:
        notes = (*notes, "compared with all hours of the reference alike: pass timestamps for the same hours")
    content = content_of(result, profile, counts, reference, min_severity=min_severity, named=named, notes=notes)
    return Comparison(content, profile, result)


def severity_named(text: str) -> Severity:
    """Return a severity by its name, from info up.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    allowed = [severity.label for severity in Severity if severity > Severity.NONE]
    if text not in allowed:
        raise InputError(f"min_severity must be one of {', '.join(allowed)}, got {text!r}{did_you_mean(text, allowed)}")
    return Severity[text.upper()]


_Pair = str | tuple[Any, Any] | None


def _read(data: Any, what: str, names: Sequence[str] | None = None) -> Table:  # noqa: ANN401
    return read_table(data, names, what=what)


def _column_names(reference: Any, before: Table | None) -> Sequence[str] | None:  # noqa: ANN401
    """Return names for the columns of an array that has none; a table without names has its own."""
    return reference.feature_names if before is None else list(before.columns)


def _check_known(exclude: Sequence[str], known: Collection[str]) -> None:
    for name in exclude:
        if name not in known:
            raise InputError(f"exclude: neither table has a column {name!r}{did_you_mean(name, known)}")


def _pair(given: Any, what: str) -> _Pair:  # noqa: ANN401
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(part is None or _is_column(part) for part in given):
        return given[0], given[1]
    raise InputError(f"{what} must be the name of a column of both tables, or a pair of columns: ({what} of the"
                     f" reference, of the current table), got {type(given).__name__}")  # fmt: skip


def _is_column(part: object) -> bool:
    return hasattr(part, "__len__") and not isinstance(part, (str, bytes))


def _values(table: Table, pair: _Pair, place: int, what: str, where: str) -> Any:  # noqa: ANN401
    if isinstance(pair, str):
        if pair not in table.columns:
            raise InputError(f"{what}: the {where} table has no column {pair!r}{did_you_mean(pair, table.columns)}")
        return table.columns[pair]
    return None if pair is None else pair[place]


def _features(table: Table, pairs: Mapping[str, _Pair], exclude: Sequence[str]) -> dict[str, Any]:
    left_out = {*exclude, *(pair for pair in pairs.values() if isinstance(pair, str))}
    return {name: column for name, column in table.columns.items() if name not in left_out}


def _profile(
    before: Table,
    pairs: Mapping[str, _Pair],
    config: ModelMonitoringConfig,
    categorical: Sequence[str],
    timezone: str | None,
) -> ReferenceProfile:
    features = _features(before, pairs, config.features.exclude)
    return ReferenceProfile.build(
        features,
        **{name: _values(before, pair, 0, name, "reference") for name, pair in pairs.items()},
        bins=config.drift.bins,
        categorical=sorted({*categorical, *(name for name in before.categorical if name in features)}),
        timezone=timezone,
    )
