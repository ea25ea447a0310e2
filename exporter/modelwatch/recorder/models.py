"""What is recorded of a model, and the state that the request path reads of one model version."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice
from typing import TYPE_CHECKING

from modelwatch.conventions import LATENCY_BUCKETS_SECONDS, OTHER
from modelwatch.profile.cells import CellAssigner
from modelwatch.recorder.outcomes import SCORE_CLASSES
from modelwatch.recorder.text import label_text

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

SCORED_TASKS = ("binary", "score")
_POSITION = re.compile(r"f\d+")
MAX_VERSIONS = 20
"""Versions of one model that are told apart though nobody registered them; others are counted as "__other__"."""
MAX_CLASSES = 50
"""Classes of one model version that are told apart; further ones are counted as "__other__"."""
MAX_CLASSES_OF_SCORES = 10
"""The same where predictions are scores, whose classes are two: labels come beside them by mistake."""


@dataclass(frozen=True)
class RecordedModel:
    """
    What the recorder needs to know of one model version.

    Parameters
    ----------
    sampling_rate
        Share of predictions whose features are looked at, 0 to 1. Attempts, errors and latency are never sampled.
    log_predictions
        Whether sampled rows are stored, and not only counted.
    latency_bounds
        Further bucket bounds in seconds (a configured threshold is always one).
    metadata_keys
        Which metadata are stored; None for all that are passed.
    exclude
        Features that are neither counted nor stored.
    count_interval
        Length in seconds of the intervals that counts are stored by.
    decision_threshold
        Scores of a task "binary" or "score" above it count as class "1", others as class "0"; None: in no class.
    learning
        Whether a reference is to be learnt from what is recorded while there is no profile.
    positive_class
        The class, as actuals name it, that a score above the threshold predicts.
    segments
        Keys of the metadata whose values make the segment of a row.
    importance
        Weights of features by name: what is left out last where there would be too many series.
    metrics
        How many metrics may be given to ``update_model_metric``.
    """

    model_id: str
    model_version: str = ""
    task: str | None = None
    sampling_rate: float = 1.0
    log_predictions: bool = True
    latency_bounds: tuple[float, ...] = ()
    profile: ReferenceProfile | None = None
    metadata_keys: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    count_interval: float = 300.0
    decision_threshold: float | None = None
    learning: bool = False
    positive_class: bool | int | float | str = 1
    segments: tuple[str, ...] = ()
    importance: tuple[tuple[str, float], ...] = ()
    metrics: int = 0

    @property
    def max_classes(self) -> int:
        """How many classes are told apart."""
        return MAX_CLASSES if self.class_threshold is None else MAX_CLASSES_OF_SCORES

    @property
    def class_threshold(self) -> float | None:
        """The score above which a prediction is of class "1"; None where scores have no class."""
        return self.decision_threshold if self.task in SCORED_TASKS else None

    @property
    def all_latency_bounds(self) -> tuple[float, ...]:
        """The usual bucket bounds and the model's own, ascending."""
        return tuple(sorted({*LATENCY_BUCKETS_SECONDS, *(float(b) for b in self.latency_bounds if b > 0)}))


class Tally:
    """
    A counter that many threads add to and one reads, without a lock: ``next`` on `itertools.count` is atomic.

    >>> tally = Tally()
    >>> tally.add(), tally.add(), tally.take(), tally.take()
    (0, 1, 2, 0)
    """

    __slots__ = ("_count", "_seen", "add")

    def __init__(self) -> None:
        self._count = count()
        self.add = self._count.__next__
        self._seen = 0

    def add_many(self, amount: int) -> None:
        """Add more than one."""
        deque(islice(self._count, amount), maxlen=0)

    def take(self) -> int:
        """Return how much was added since the last call. Reading takes a number itself, which is left out."""
        value = next(self._count)
        fresh, self._seen = value - self._seen, value + 1
        return fresh


@dataclass(frozen=True)
class Binning:
    """A profile and the cell assigner of its layout; swapped whole."""

    profile: ReferenceProfile
    assigner: CellAssigner

    @cached_property
    def names_hint(self) -> tuple[str, ...]:
        """Names of nameless values by position; none where the profile's own names are but positions.

        Of those some may be missing, as a column that can't be watched is left out; "f2" is still the third value.
        """
        names = self.profile.feature_names
        return () if all(_POSITION.fullmatch(name) for name in names) else names

    def classes(self, threshold: float | None) -> tuple[str, ...]:
        """Return the classes that the profile knows, or those that a threshold divides its scores into."""
        prediction = self.profile.layout.prediction
        if prediction is None:
            return ()
        if prediction.kind == "categorical":
            return prediction.categories
        return () if threshold is None else SCORE_CLASSES


class VersionEntry:
    """One model version on the request path. Attributes are replaced whole, never changed in place."""

    __slots__ = (
        "binning",
        "bounds",
        "config",
        "model_id",
        "overflow_actuals",
        "overflow_attempts",
        "overflow_dropped",
        "overflow_errors",
        "rate",
        "settled",
        "version",
    )  # fmt: skip

    def __init__(self, config: RecordedModel, version: str, *, settled: bool = True) -> None:
        self.model_id = config.model_id
        self.version = version
        # Whether it is known that its version has series of its own: one that nobody registered has to be admitted.
        self.settled = settled
        self.reset_overflow()
        self.configure(config)
        self.set_profile(config.profile)

    @property
    def labels(self) -> tuple[str, str]:
        """Values of the labels model_id and model_version."""
        return self.model_id, self.version

    def reset_overflow(self) -> None:
        """Forget what did not fit in the queue; in the child of a fork it is the parent's to count."""
        self.overflow_attempts, self.overflow_errors = Tally(), Tally()
        self.overflow_dropped, self.overflow_actuals = Tally(), Tally()

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that are known before the first prediction."""
        return () if self.binning is None else self.binning.classes(self.config.class_threshold)

    def settle(self, version: str) -> None:
        """Count under this version from now on."""
        self.version, self.settled = version, True

    def configure(self, config: RecordedModel) -> None:
        """Take over a configuration; the profile stays."""
        self.config = config
        self.rate = config.sampling_rate
        self.bounds = config.all_latency_bounds

    def set_profile(self, profile: ReferenceProfile | None) -> None:
        """Bin by this profile from the next slice of rows on; the task is the profile's where nobody says another."""
        if profile is not None and not self.config.task and profile.task:
            self.config = replace(self.config, task=profile.task)
        self.binning: Binning | None = None if profile is None else Binning(profile, CellAssigner(profile.layout))


class ModelEntry:
    """One model on the request path: its versions, and the one that is meant when none is named."""

    __slots__ = ("default", "versions")

    def __init__(self, config: RecordedModel) -> None:
        self.versions: dict[str, VersionEntry] = {}
        self.default = self.add(config)

    def add(self, config: RecordedModel) -> VersionEntry:
        """Register or update a version; it becomes the default."""
        version = label_text(config.model_version)
        entry = self.versions.get(version)
        if entry is None:
            entry = self.versions[version] = VersionEntry(config, version)
        else:
            entry.settle(version)
            entry.configure(config)
            if config.profile is not None:
                entry.set_profile(config.profile)
        self.default = entry
        return entry

    def version(self, version: object) -> VersionEntry:
        """Return the entry of a version given with a call; unknown ones share the default's configuration."""
        text = label_text(version)
        entry = self.versions.get(text)
        if entry is not None:
            return entry
        if len(self.versions) >= MAX_VERSIONS:
            text = OTHER
        base = self.default
        fresh = VersionEntry(base.config, text, settled=text == OTHER)
        fresh.binning = base.binning
        return self.versions.setdefault(text, fresh)
