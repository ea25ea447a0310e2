"""What a configuration will cost and what it will not see: series, disk, and inputs whose shape can't alarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelwatch.collector import forecast as series
from modelwatch.collector.folding import Plan
from modelwatch.config import DEFAULT_MAX_SERIES
from modelwatch.exceptions import ModelwatchError
from modelwatch.profile import ReferenceProfile
from modelwatch.records import PREDICTION, BlindSpot, CellLayout, FeatureCells
from modelwatch.service.disk_forecast import DiskForecast, Traffic, disk_forecast
from modelwatch.service.models import RegisteredModel
from modelwatch.service.registration import recorded
from modelwatch.windows.scored import candidates, window_lengths

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.recorder import RecordedModel

__all__ = ["ADVISED_SERIES", "ASSUMED_INPUTS", "Amount", "Assumptions", "Forecast", "ModelForecast", "forecast_of"]

ASSUMED_INPUTS = 20
"""Numeric inputs that disk is estimated for where nobody knows them."""
ADVISED_SERIES = 5000
"""Of one model at one target; what is more is a burden for Prometheus."""
_ASSUMED_SCORE_CELLS = 50


@dataclass(frozen=True)
class Amount:
    """A number of series: so many, and so many more for each input of a model whose inputs are not known."""

    fixed: int
    per_input: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.fixed + other.fixed, self.per_input + other.per_input)


@dataclass(frozen=True)
class Assumptions:
    """What no configuration says.

    Attributes
    ----------
    predictions : float
        A day, of each model.
    workers : int
        Processes that record each model.
    inputs : int or None
        Of models without a profile; None if nobody said.
    """

    predictions: float = 1e6
    workers: int = 1
    inputs: int | None = None


@dataclass(frozen=True)
class ModelForecast:
    """What one model version of a configuration will cost, and what can't be seen of it."""

    config: ModelMonitoringConfig
    inputs: int | None
    """How many there are; None if that is not known."""
    basis: str
    recorded: Amount
    results: Amount
    reference: Amount
    drifting: Amount
    disk: DiskForecast
    blind: tuple[BlindSpot, ...] = ()
    problem: str = ""
    """Why its reference can't be read."""
    assumed: bool = False
    """Whether its cells are assumed, as no profile says them."""
    plan: Plan = field(default_factory=Plan)
    """What is exposed of its cells; all, where nobody knows how many inputs there are."""


@dataclass(frozen=True)
class Forecast:
    """What all models of a configuration will cost together, on one storage."""

    models: tuple[ModelForecast, ...]
    application: Amount
    sidecar: Amount
    references: bool
    """Whether references are exposed: all, or none where they would be too many."""
    unknown: tuple[str, ...] = field(default=())
    """Models whose inputs are not known."""

    @property
    def disk_per_day(self) -> float:
        """Bytes that one day adds."""
        return sum(model.disk.day for model in self.models)

    @property
    def disk_in_all(self) -> float:
        """Bytes once as much is removed as is added."""
        return sum(model.disk.total for model in self.models)


def forecast_of(
    models: Sequence[ModelMonitoringConfig],
    channels: int,
    assumed: Assumptions,
    limit: int = DEFAULT_MAX_SERIES,
) -> Forecast:
    """Return what models will cost.

    Parameters
    ----------
    models
        The configured ones.
    channels
        How many channels are told of anything.
    assumed
        What the configuration does not say.
    limit
        How many series one model may have where predictions are made.
    """
    read = [_Read.of(model, assumed, limit) for model in models]
    fit = series.references_fit([one.layout(one.inputs or 0) for one in read])
    found = tuple(one.forecast(assumed) for one in read)
    zero = Amount(0)
    results = sum((m.results + (m.reference if fit else zero) for m in found), zero)
    return Forecast(
        found,
        application=sum((m.recorded for m in found), Amount(series.PROCESS_SERIES)),
        sidecar=results + Amount(series.endpoint_series(channels) + series.SIDECAR_SERIES),
        references=fit,
        unknown=tuple(m.config.model_id for m in found if m.inputs is None),
    )


@dataclass(frozen=True)
class _Read:
    """A model with what is known of its reference."""

    config: ModelMonitoringConfig
    profile: ReferenceProfile | None
    inputs: int | None
    basis: str
    limit: int
    problem: str = ""

    @classmethod
    def of(cls, config: ModelMonitoringConfig, assumed: Assumptions, limit: int) -> _Read:
        problem = ""
        if config.reference != "auto":
            try:
                profile = ReferenceProfile.load(config.reference)
            except ModelwatchError as error:
                problem = str(error)
            else:
                return cls(config, profile, len(profile.layout.features), Path(config.reference).name, limit)
        basis = "reference: auto" if config.reference == "auto" else "reference can't be read"
        assumption = "" if assumed.inputs is None else f", {assumed.inputs} inputs assumed"
        return cls(config, None, assumed.inputs, basis + assumption, limit, problem)

    def layout(self, inputs: int) -> CellLayout:
        """Return the cells of the reference, or those of one with so many numeric inputs and a score."""
        if self.profile is not None:
            return self.profile.layout
        edges = tuple(map(float, range(1, self.config.drift.bins + 1)))
        features = tuple(FeatureCells(f"input_{place}", "numeric", edges=edges) for place in range(inputs))
        score = tuple(place / _ASSUMED_SCORE_CELLS for place in range(1, _ASSUMED_SCORE_CELLS + 1))
        return CellLayout(features, FeatureCells(PREDICTION, "numeric", edges=score))

    def forecast(self, assumed: Assumptions) -> ModelForecast:
        """Return what the model will cost."""
        for_disk = self.layout(ASSUMED_INPUTS if self.inputs is None else self.inputs)
        counts = None if self.profile is None else self.profile.counts
        traffic = Traffic(assumed.predictions, assumed.workers)
        return ModelForecast(
            self.config,
            self.inputs,
            self.basis,
            recorded=self._amount(self._recorded),
            results=self._amount(self._results),
            reference=self._amount(lambda inputs: series.reference_series(self.layout(inputs))),
            drifting=self._amount(self._drifting),
            disk=disk_forecast(self.config, for_disk, traffic, counts),
            blind=self._blind(),
            problem=self.problem,
            assumed=self.profile is None,
            plan=self._plan(),
        )

    def _amount(self, count: Callable[[int], int]) -> Amount:
        """Return a number of series, or the line through two of them where the inputs are not known."""
        if self.inputs is not None:
            return Amount(count(self.inputs))
        return Amount(count(0), count(1) - count(0))

    def _recorded(self, inputs: int) -> int:
        return series.recorded_series(*self._given(inputs), learnt=self._learnt(inputs), limit=self.limit)

    def _given(self, inputs: int) -> tuple[RecordedModel, CellLayout, int]:
        """Return the model, the cells of its reference, and how many metrics are given for it."""
        model = recorded(RegisteredModel(self.config, 0.0, self.profile))
        operational = ("latency_ms", "error_rate")
        given = sum(metric not in operational for metric in self.config.performance_metrics)
        return model, self.layout(inputs), given

    def _learnt(self, inputs: int) -> int:
        return inputs if self.config.reference == "auto" else 0

    def _plan(self) -> Plan:
        if self.inputs is None:
            return Plan()
        learnt = self._learnt(self.inputs)
        return series.recorded_plan(*self._given(self.inputs), learnt=learnt, limit=self.limit)

    def _windows(self) -> tuple[int, int]:
        lengths = window_lengths(self.config)
        calibrated = self.profile is not None and self.profile.calibrated
        return len(lengths), len(candidates(self.config.drift, lengths, calibrated=calibrated))

    def _results(self, inputs: int) -> int:
        return series.result_series(self.config, self.layout(inputs), *self._windows())

    def _drifting(self, inputs: int) -> int:
        return series.drifting_series(self.config, self.layout(inputs), self._windows()[1])

    def _blind(self) -> tuple[BlindSpot, ...]:
        if self.profile is None:
            return ()
        try:
            from modelwatch.drift.blind_spots import blind_spots
        except ModuleNotFoundError as error:  # where only predictions are recorded, what checks need may be missing
            missing = str(error.name).partition(".")[0]
            return (BlindSpot("all", f"{missing} is not installed here, without which drift is not scored"),)
        return tuple(blind_spots(self.config, self.profile))
