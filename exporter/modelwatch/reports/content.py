"""What a report says, whatever form it takes: one check of one batch against one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from modelwatch.drift.report import MULTIVARIATE, drift_report
from modelwatch.policy import Severity
from modelwatch.records import PREDICTIONS, CheckResult, FamilyResult, FloatArray, WindowCounts, prediction_words
from modelwatch.reports.bars import Bars, bars_of

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["TOGETHER", "Content", "Entry", "content_of", "visible"]

TOGETHER = "inputs together"
"""How the entry is called that is about no feature by itself."""


@dataclass(frozen=True)
class Entry:
    """One feature, or the prediction, or how the features go together."""

    name: str
    drift_type: str
    severity: Severity
    state: str
    found: dict[str, Any]
    """What :func:`~modelwatch.drift.report.family_report` says of it."""
    bars: Bars | None = None

    @property
    def words(self) -> str:
        """How it moved, if it did."""
        return str(self.found.get("change", ""))

    @property
    def measured(self) -> str:
        """Score against tolerance, and what was tested on how much."""
        if "score" not in self.found:
            return ""
        f = self.found
        distance = "change of correlations" if self.drift_type == MULTIVARIATE else "JS"
        return f"{distance} {f['score']:.3f}, tolerance {f['threshold']:.2f}, {f['test']}, n = {count(f['n'])}"


@dataclass(frozen=True)
class Content:
    """All that a report says."""

    model_id: str
    model_version: str
    profile: str
    """The first characters of the profile's id."""
    severity: Severity
    summary: str
    rows: float
    reference_rows: float
    reference_days: int
    """Days that the reference covers; 0 if that is not known."""
    families: tuple[tuple[str, FamilyResult], ...]
    entries: tuple[Entry, ...]
    """Features, worst first, then the prediction, then how the features go together."""
    data: dict[str, Any] = field(repr=False)
    """The same as plain JSON."""
    min_severity: Severity = Severity.WARNING
    notes: tuple[str, ...] = ()
    """What else is to be said: columns that the data lack, what could not be scored, what the reference is like."""
    sources: tuple[tuple[str, str], ...] = ()
    """Where data and reference came from: (what, text)."""

    def from_sources(self, sources: Mapping[str, str]) -> Content:
        """Return the same with where its data and reference came from."""
        return replace(self, sources=tuple(sources.items()), data={**sources, **self.data})

    @property
    def drifted(self) -> bool:
        """Whether anything is at `min_severity` or above."""
        return self.severity >= self.min_severity

    @property
    def found(self) -> tuple[Entry, ...]:
        """The entries at `min_severity` or above."""
        return tuple(entry for entry in self.entries if entry.severity >= self.min_severity)

    @property
    def subject(self) -> str:
        """The model and its version, if the check is of one."""
        version = f" (version {self.model_version})" if self.model_version else ""
        return f"{self.model_id}{version}"

    @property
    def size(self) -> str:
        """How many rows against how many."""
        days = f" of {self.reference_days} days" if self.reference_days > 1 else ""
        reference = f" (profile {self.profile})" if self.profile else ""
        return f"{count(self.rows)} rows against {count(self.reference_rows)}{days} of the reference{reference}"


def content_of(
    result: CheckResult,
    profile: ReferenceProfile | None,
    batch: WindowCounts | None,
    reference: FloatArray | None = None,
    *,
    min_severity: Severity = Severity.WARNING,
    named: bool = True,
    notes: Sequence[str] = (),
) -> Content:
    """Gather what a report says.

    Parameters
    ----------
    result : CheckResult
        The check.
    profile : ReferenceProfile or None
        The reference it was made with.
    batch : WindowCounts or None
        What was compared with it; None leaves the pictures out.
    reference : ndarray, shape (layout.size,), optional
        Counts of the reference that it was compared with; those of the profile if not given.
    min_severity : Severity
        From where on something counts as found.
    named : bool
        Whether the check is of a model that has a name.
    notes : sequence of str
        What else is to be said, besides the reasons of the check.

    Returns
    -------
    Content
    """
    report = drift_report(result)
    model_id = result.model_id if named else ""
    reasons = [
        f"{name}: {family.reason}"
        for name, family in result.families.items()
        # Of one feature nobody expects to hear that it goes together with none.
        if family.reason and (name, family.state) != (MULTIVARIATE, "no_reference")
    ]
    entries = [
        Entry(
            name,
            kind,
            _severity(found["severity"]),
            found["state"],
            found,
            _bars(profile, batch, reference, kind, name),
        )
        for kind, family in report["details"].items()
        for name, found in family["features"].items()
    ] + _together(report["details"].get(MULTIVARIATE))
    severity = max((family.severity for family in result.families.values()), default=Severity.NONE)
    rows = max(result.windows.values(), default=0.0)
    return Content(
        model_id=model_id,
        model_version=result.model_version,
        profile=result.profile_id[:8],
        severity=severity,
        summary=report["summary"],
        rows=rows,
        reference_rows=result.reference_rows,
        reference_days=0 if profile is None else profile.days,
        families=tuple(result.families.items()),
        entries=tuple(entries),
        data={
            "model_id": model_id,
            "model_version": result.model_version,
            "profile": result.profile_id[:8],
            "rows": rows,
            "reference_rows": result.reference_rows,
            "min_severity": min_severity.label,
            "found": severity >= min_severity,
            "notes": [*reasons, *notes],
            **report,
        },
        min_severity=min_severity,
        notes=(*reasons, *notes),
    )


def _together(family: dict[str, Any] | None) -> list[Entry]:
    """Return how features go together, which is of none by itself, as an entry; none if it was not looked at."""
    if family is None or "score" not in family:
        return []
    pairs = (f"{' and '.join(pair['features'])} ({pair['change']})" for pair in family["pairs"])
    severity = _severity(family["severity"])
    return [Entry(TOGETHER, MULTIVARIATE, severity, family["state"], {**family, "change": ", ".join(pairs)})]


def _severity(label: str) -> Severity:
    return Severity[label.upper()]


def _bars(
    profile: ReferenceProfile | None, batch: WindowCounts | None, reference: FloatArray | None, kind: str, name: str
) -> Bars | None:
    if profile is None or batch is None:
        return None
    key = next(k for k in PREDICTIONS if prediction_words(k) == name) if kind == "prediction" else name
    before = None if reference is None else cells_of(profile, reference, key)
    return bars_of(profile, key, cells_of(profile, batch.cells, key), before)


def cells_of(profile: ReferenceProfile, cells: FloatArray, name: str) -> FloatArray:
    """Return the cells of one member out of all."""
    members = profile.layout.members
    place = next(i for i, member in enumerate(members) if member.name == name)
    start = profile.layout.offsets[place]
    return cells[start : start + members[place].size]


def count(value: float) -> str:
    """Return a number of rows with its thousands apart.

    >>> count(1234567.0), count(12.4)
    ('1 234 567', '12')
    """
    return f"{value:,.0f}".replace(",", " ")


def visible(text: object) -> str:
    r"""Return text with what can't be seen, or turns the reading direction, written out.

    >>> print(visible("ad\u202escore"))
    ad\u202escore
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
