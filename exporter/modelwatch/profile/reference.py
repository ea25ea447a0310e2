"""The reference profile: what a model's data looked like when it was known to be good."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelwatch.exceptions import NotAvailableError, ProfileError, did_you_mean
from modelwatch.profile.correlation import CorrelationConstants
from modelwatch.profile.kinds import Task
from modelwatch.profile.means import normal_scores
from modelwatch.profile.moments import Moments
from modelwatch.profile.natural import Natural, by_length, correlation_by_length, means_by_length
from modelwatch.profile.strata import Strata
from modelwatch.profile.writing import reason, write_atomically
from modelwatch.records import CellLayout, FeatureCells, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 100
ADVISED_ROWS = 1_000
AMPLE_ROWS = 5_000
_REMOTE = ("http://", "https://", "s3://", "gs://", "models:")


@dataclass(frozen=True, eq=False)
class ReferenceProfile:
    """Cells, counts and moments of a reference. Holds no rows; made by :meth:`build`, :meth:`load`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = {"age": rng.normal(40, 10, 6000), "city": rng.choice(["Rome", "Oslo"], 6000)}
    >>> profile = ReferenceProfile.build(X, predictions=rng.random(6000))
    >>> profile.feature_names, profile.task, profile.merge(profile).rows
    (('age', 'city'), 'binary', 12000)
    >>> print(profile.verdict)
    LIMITED: no timestamps; 24 h window only, nothing above warning but a gross change; pass timestamps
    >>> ReferenceProfile.from_json(profile.to_json()) == profile
    True
    >>> import tempfile
    >>> path = profile.save(f"{tempfile.mkdtemp()}/profile.json")
    >>> ReferenceProfile.load(path).summary().splitlines()[-1] == profile.verdict
    True
    >>> int(profile.counts_of("city").sum()), profile.member("city").size == len(profile.counts_of("city"))
    (6000, True)
    """

    layout: CellLayout
    counts: IntArray
    """Shape (layout.size,), read-only."""
    rows: int
    moments: Mapping[str, Moments]
    """By name, of numeric members; the prediction's under ""."""
    created: datetime
    task: Task | None = None
    model_id: str = ""
    model_version: str = ""
    decision_threshold: float = 0.5
    timezone: str | None = None
    days: int = 0
    """Calendar days with at least one row; 0 without timestamps."""
    time_range: tuple[float, float] | None = None
    """Unix seconds of the first and the last row."""
    labelled_rows: int = 0
    importance: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    calibrated: bool = False
    """Whether tolerances are learnt from timestamps."""
    revision: int = 1
    strata: Strata | None = None
    """Counts by hour of the day and kind of day; None where there are no timestamps, or too few days."""
    natural: Mapping[str, Natural] = field(default_factory=dict)
    """Natural variation by length of window, see :data:`modelwatch.profile.natural.LENGTHS`; empty if not learnt."""
    natural_days: int = 0
    """How many days it was learnt from."""
    correlation: CorrelationConstants | None = None
    """How features go together; None where fewer than two can be compared, or an older release built the profile."""
    correlation_by_hour: CorrelationConstants | None = None
    """The same, with what the hour makes of each feature taken off; None where there are no `strata`."""

    def __post_init__(self) -> None:
        self.counts.setflags(write=False)

    @classmethod
    def build(
        cls,
        X: pd.DataFrame | Mapping[str, Any] | Sequence[Any] | Any,  # noqa: ANN401, N803 - the field's name for it
        predictions: Any = None,  # noqa: ANN401
        actuals: Any = None,  # noqa: ANN401
        timestamps: Any = None,  # noqa: ANN401
        decision_threshold: float = 0.5,
        importance: Mapping[str, float] | Sequence[float] | None = None,
        timezone: str | None = None,
        inherit: ReferenceProfile | None = None,
        *,
        bins: int = 20,
        categorical: Sequence[str] = (),
        exclude: Sequence[str] = (),
        feature_names: Sequence[str] | None = None,
        model_id: str = "",
        model_version: str = "",
        task: str | None = None,
        created: datetime | None = None,
        strata: Literal["auto", "none", "48", "168"] = "auto",
        like: ReferenceProfile | None = None,
    ) -> ReferenceProfile:
        """Build a profile from data on which the model was known to work: held-out data, best from production.

        Parameters
        ----------
        X : DataFrame, dict of columns, 2-D array, list of dicts or pyarrow Table, or a callable
            The features, at least 100 rows (1 000 advised, 5 000 ample). A callable returns an iterable of such tables,
            the same at every call, with columns named as predictions, actuals and timestamps.
        predictions : array-like, shape (rows,) or (rows, classes), optional
            What the model returns for them: scores, labels or numbers. Of three or more classes the scores of all: an
            array, or a list or dict of them a row; then the score of the predicted class is watched beside the class.
        actuals : array-like, shape (rows,), optional
            Ground truth; counted now, used for performance baselines by a later release.
        timestamps : array-like, shape (rows,), optional
            datetimes, ISO-8601 texts or Unix seconds; naive ones are in `timezone`.
        decision_threshold : float, default 0.5
            The score from which on the model says yes; it becomes an edge between cells.
        importance : mapping of feature to weight, or a sequence in column order, optional
            Weights features by when drift is attributed.
        timezone : str, default UTC
            IANA name of the time zone that the business runs in.
        inherit : ReferenceProfile, optional
            A profile of the same model whose strata and learnt tolerances are carried over by feature name, where
            `timestamps` cover fewer than 14 days.
        bins : int, default 20
            Cells of a numeric feature, 10 to 64.
        categorical, exclude : sequence of str, optional
            Features to read as categories; columns to leave out.
        feature_names : sequence of str, optional
            Names for the columns of a 2-D array.
        model_id, model_version : str, optional
            Stored for whoever reads the file.
        task : {"binary", "multiclass", "regression", "score"}, optional
            Inferred from the predictions if not given.
        created : datetime, optional
            Stored time of creation; now if not given.
        strata : {"auto", "none", "48", "168"}, default "auto"
            Which hours windows are compared with: those of the same hour of the day on weekdays or weekends (48, what
            auto means), of the same hour of the week (168, from 8 weeks on), or all.
        like : ReferenceProfile, optional
            A profile whose cells are used, so that both can be merged.

        Returns
        -------
        ReferenceProfile

        Raises
        ------
        ProfileError
            If no profile can be built from the data; the message says what to change.
        """
        from modelwatch.profile.build import BuildOptions, build_profile

        options = BuildOptions(
            decision_threshold=decision_threshold,
            importance=importance,
            timezone=timezone,
            bins=bins,
            categorical=tuple(categorical),
            exclude=tuple(exclude),
            feature_names=feature_names,
            model_id=model_id,
            model_version=model_version,
            task=task,
            created=created if created is not None else _now(),
            strata=strata,
            inherit=inherit,
            like=like,
        )
        return build_profile(X, predictions, actuals, timestamps, options)

    @property
    def id(self) -> str:
        """Sha-256, in hex, of what defines the cells; equal exactly when counts may be added or compared."""
        return self.layout.id

    @property
    def label(self) -> str:
        """The first 8 characters of the id, as metrics carry them."""
        return self.id[:8]

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The features in order."""
        return tuple(member.name for member in self.layout.features)

    @cached_property
    def _places(self) -> dict[str, tuple[FeatureCells, int]]:
        pairs = zip(self.layout.members, self.layout.offsets, strict=True)
        return {member.name: (member, offset) for member, offset in pairs}

    @cached_property
    def variation(self) -> FloatArray:
        """Natural variation of all members by length of window: (lengths, members, tests), on the scale of d."""
        return by_length(self.natural, len(self.layout.members))

    @cached_property
    def clustering(self) -> FloatArray:
        """How alike the rows of one window are at the ends of the range, 0 to 1: (lengths, members)."""
        return correlation_by_length(self.natural, len(self.layout.members))

    @cached_property
    def mean_variation(self) -> FloatArray:
        """Natural variation of the means, in squared standard deviations: (lengths, members); inf where unknown."""
        return means_by_length(self.natural, len(self.layout.members))

    @cached_property
    def normal_scores(self) -> tuple[FloatArray | None, ...]:
        """What the shape cells of each member are worth in a mean; None for categories."""
        return normal_scores(self.layout, self.counts)

    def member(self, name: str) -> FeatureCells:
        """Return the cells of a feature, or of the prediction.

        Parameters
        ----------
        name
            The feature; "" for the prediction, "@prediction_score" for the score of the predicted class.

        Returns
        -------
        FeatureCells
            Its kind and the edges or categories of its cells.

        Raises
        ------
        ProfileError
            If the profile has no such feature.
        """
        return self._place(name)[0]

    def counts_of(self, name: str) -> IntArray:
        """Return how many rows fell into each cell of one member.

        Parameters
        ----------
        name
            The feature; "" for the prediction.

        Returns
        -------
        ndarray of int, shape (member.size,)
            In the order of its cells.

        Raises
        ------
        ProfileError
            If the profile has no such feature.
        """
        member, offset = self._place(name)
        return self.counts[offset : offset + member.size]

    def _place(self, name: str) -> tuple[FeatureCells, int]:
        try:
            return self._places[name]
        except KeyError:
            hint = did_you_mean(name, self.feature_names)
            raise ProfileError(f"the profile has no feature {name!r}{hint}") from None

    def merge(self, other: ReferenceProfile) -> ReferenceProfile:
        """Add up the references of two profiles of the same cells, such as parts of the data that were counted apart.

        Parameters
        ----------
        other
            A profile with the same `id`.

        Returns
        -------
        ReferenceProfile
            Counts and learnt variation are sums, and so is its `revision`. What lies between the parts is no natural
            variation yet: only a profile built from all rows has learnt that.

        Raises
        ------
        ProfileError
            If the cells differ, or the clocks by which hours were counted; the message says in what.
        """
        from modelwatch.profile.merge import merge

        return merge(self, other)

    @property
    def verdict(self) -> str:
        """What can be found with this profile and what can't, in a line."""
        rows = f"{self.rows:,} rows".replace(",", " ")
        if self.calibrated:
            inherited = "inherited_from" in self.options
            return f"FULL: {rows}, tolerances inherited" if inherited else f"FULL: {self.days} days, {rows}"
        limits = "24 h window only, nothing above warning but a gross change"
        if self.days:
            days = f"{self.days} day{'s' * (self.days != 1)}"
            return f"LIMITED: {days}, {rows}; tolerances are learnt from 14 days on; {limits}"
        return f"LIMITED: no timestamps; {limits}; pass timestamps"

    def summary(self) -> str:
        """Describe the profile for a terminal.

        Returns
        -------
        str
            A line per feature, warnings, and the verdict.
        """
        from modelwatch.profile.summary import summarize

        return summarize(self)

    def to_json(self) -> str:
        """Write the profile as JSON, the same text for the same profile.

        Returns
        -------
        str
            What :meth:`from_json` reads.
        """
        from modelwatch.profile.serial import dump

        return dump(self)

    @classmethod
    def from_json(cls, text: str, *, source: str = "profile") -> ReferenceProfile:
        """Rebuild a profile from what :meth:`to_json` wrote.

        Parameters
        ----------
        text
            The JSON.
        source
            What messages call it, such as the path of a file.

        Returns
        -------
        ReferenceProfile

        Raises
        ------
        ProfileError
            If the text is no profile, or its counts do not belong to its cells.
        """
        from modelwatch.profile.serial import parse

        return parse(text, source)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ReferenceProfile:
        """Read a profile from a file.

        Parameters
        ----------
        path
            A file that :meth:`save` wrote.

        Returns
        -------
        ReferenceProfile

        Raises
        ------
        ProfileError
            If the file can't be read or holds no valid profile.
        NotAvailableError
            For addresses on the network.
        """
        name = os.fspath(path)
        if name.startswith(_REMOTE):
            raise NotAvailableError(f"reference {name!r}: profiles from the network: not available yet; give a path")
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise ProfileError(f"{name}: can't be read: {reason(error)}") from error
        except ValueError as error:
            from modelwatch.profile.serial import advice

            raise ProfileError(f"{name}: can't be read: {reason(error)}{advice(name)}") from error
        return cls.from_json(text, source=name)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the profile to a file, which at every moment is the old one or the new one, never half of it.

        Parameters
        ----------
        path
            The file; its folder is there already.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ProfileError
            If it can't be written.
        """
        target = Path(path)
        try:
            write_atomically(target, self.to_json().encode())
        except OSError as error:
            raise ProfileError(f"{target}: can't be written: {reason(error)}") from error
        return target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReferenceProfile) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"ReferenceProfile({self.label}: {self.rows} rows, {len(self.layout.features)} features)"


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
