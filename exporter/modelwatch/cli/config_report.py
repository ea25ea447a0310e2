"""What ``check-config`` tells of a file without mistakes, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.cli.audience import LEVELS, Audience, Group, audience_of, gaps, grouped, name_of, receivers_of
from modelwatch.cli.config_forecast import (
    ADVISED_SERIES,
    ASSUMED_INPUTS,
    Amount,
    Assumptions,
    Forecast,
    ModelForecast,
    forecast_of,
)
from modelwatch.cli.quiet import idle_warnings, quiet_lines, quiet_warnings
from modelwatch.cli.tables import listed, table
from modelwatch.config import default_storage_path
from modelwatch.config.values import size_text
from modelwatch.exceptions import ConfigError
from modelwatch.notify.secret_files import secret_problem
from modelwatch.notify.wording import number
from modelwatch.recorder.segments import MAX_SEGMENTS
from modelwatch.records import shown_name
from modelwatch.service.cleanup import size_cap
from modelwatch.service.disk_forecast import DiskForecast

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig

__all__ = ["ConfigReport"]

_NOBODY = "nobody"
_MANY_DAYS = 3650.0


@dataclass(frozen=True)
class ConfigReport:
    """All that can be said of a configuration without running anything."""

    config: MonitoringConfig
    assumed: Assumptions
    traffic_given: bool
    audiences: tuple[Audience, ...]
    forecast: Forecast
    cap: int
    """Bytes that the storage may hold."""

    @classmethod
    def of(cls, config: MonitoringConfig, assumed: Assumptions, *, traffic_given: bool) -> ConfigReport:
        """Look at everything that a configuration implies.

        Parameters
        ----------
        config
            The file.
        assumed
            What it does not say.
        traffic_given
            Whether somebody said how many predictions there are.
        """
        audiences = tuple(audience_of(config))
        channels = {channel for audience in audiences for told in audience.told.values() for channel in told}
        forecast = forecast_of(config.models, len(channels), assumed, config.expose.max_series_per_model)
        return cls(config, assumed, traffic_given, audiences, forecast, _cap(config))

    # ── for people ───────────────────────────────────────────────────────────────────────────────────────────────

    def lines(self) -> list[str]:
        """Return the report, a line each; warnings are apart from it."""
        out = [f"  {line}" for line in _summary(self.config)]
        out += ["", f"who is told (alerting.mode: {self.config.alerting.mode})"]
        rows = [_told_row(group) for group in grouped(self.audiences)]
        out += table(["model", *(level.label for level in LEVELS)], rows)
        if self.config.models:
            out += ["", *self._series(), "", *self._disk()]
        blind = [(model, spot) for model in self.forecast.models for spot in model.blind]
        if blind:
            rows = [[name_of(model.config), shown_name(spot.feature), spot.reason] for model, spot in blind]
            out += ["", "shape can't alarm", *table(["model", "input", "why"], rows)]
        return [*out, ""]

    def _series(self) -> list[str]:
        forecast = self.forecast
        rows = _together([[_amount(m.recorded), _amount(self._results(m)), m.basis] for m in forecast.models], self)
        rows.append(["in all", _amount(forecast.application), _amount(forecast.sidecar), self._in_all()])
        out = ["series, for one storage: of the target that exposes recordings, and of the results (sidecar)"]
        out += table(["model", "recordings", "results", "from"], rows)
        more = max((m.drifting.fixed for m in forecast.models), default=0)
        per = max((m.drifting.per_input for m in forecast.models), default=0)
        out += [
            f"  while all inputs of a model drift: up to {_amount(Amount(more, per))} more",
            "  as much again for each version that is live at once, and for each host or replica with its own storage",
        ]
        if any(model.assumed for model in forecast.models):
            out.append("  an input that is not known is taken for a number with drift.bins cells")
        out += self._segment_lines()
        if not forecast.references:
            out.append("  references would be too many series: they are not exposed")
        return out

    def _segment_lines(self) -> list[str]:
        """Say which models are counted by segment, and how many segments their numbers are for."""
        keys = dict.fromkeys(tuple(model.config.segments) for model in self.forecast.models if model.config.segments)
        return [
            f"  by segment ({', '.join(one)}): at most, with {MAX_SEGMENTS} values and more"
            f" ({listed([name_of(m.config) for m in self.forecast.models if tuple(m.config.segments) == one], 2)})"
            for one in keys
        ]

    def _in_all(self) -> str:
        both = self.forecast.application + self.forecast.sidecar
        unknown = self.forecast.unknown
        if not unknown:
            return f"together {_amount(both)}"
        return f"together {_amount(both)}; inputs of {listed(unknown, 2)} are not known: --features N"

    def _results(self, model: ModelForecast) -> Amount:
        return model.results + (model.reference if self.forecast.references else Amount(0))

    def _disk(self) -> list[str]:
        forecast, assumed = self.forecast, self.assumed
        said = "" if self.traffic_given else ", as nobody said (--predictions-per-day N)"
        workers = f"{assumed.workers} worker{'s' * (assumed.workers != 1)}"
        out = [f"disk, about, for {number(assumed.predictions)} predictions a day of each model by {workers}{said}"]
        rows = _together([_disk_row(model) for model in forecast.models], self)
        cap = f"of {size_text(self.cap)}{'' if self.config.storage.max_bytes else ', the default here'}"
        rows.append(["in all", size_text(forecast.disk_per_day), size_text(forecast.disk_in_all), cap])
        return out + table(["model", "a day", "in the end", "kept"], rows)

    # ── for machines ─────────────────────────────────────────────────────────────────────────────────────────────

    def as_json(self) -> dict[str, object]:
        """Return the same as plain values."""
        told = {id(audience.model): audience for audience in self.audiences}
        forecast = self.forecast
        return {
            "mode": self.config.alerting.mode,
            "receivers": {name: receiver.type for name, receiver in self.config.alerting.receivers.items()},
            "quiet_hours": quiet_lines(self.config),
            "models": [_model_json(model, told[id(model.config)], self._results(model)) for model in forecast.models],
            "any_other_model": {"told": _told_json(self.audiences[-1])},
            "series": {
                "recordings": _amount_json(forecast.application),
                "results": _amount_json(forecast.sidecar),
                "in_all": _amount_json(forecast.application + forecast.sidecar),
            },
            "disk": {
                "predictions_per_day": self.assumed.predictions,
                "workers": self.assumed.workers,
                "bytes_per_day": round(forecast.disk_per_day),
                "bytes_in_the_end": round(forecast.disk_in_all),
                "max_bytes": self.cap,
            },
        }

    # ── what is probably not meant ───────────────────────────────────────────────────────────────────────────────

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is allowed, and probably not what was meant."""
        problems = {name: secret_problem(receiver) for name, receiver in receivers_of(self.config).items()}
        out = [f"receiver {name!r} can't deliver: {problem}" for name, problem in problems.items() if problem]
        for model in self.forecast.models:
            name = model.config.model_id
            out += [f"{name}: {warning}" for warning in model.config.warnings]
            if model.problem:
                out.append(f"{name}: the reference profile can't be read, drift would not be scored: {model.problem}")
            if model.recorded.fixed > ADVISED_SERIES:
                out.append(
                    f"{name}: {number(model.recorded.fixed)} series at one target are more than {ADVISED_SERIES}:"
                    " leave inputs out when the profile is built (--exclude), or take fewer --bins"
                )
            out += [f"{name}: {sentence}" for sentence in _folded(model, self.config.expose.max_series_per_model)]
        out += [*gaps(self.config, self.audiences), *quiet_warnings(self.config), *idle_warnings(self.config)]
        return [*out, *_alertmanager_warnings(self.config), *self._disk_warnings()]

    def _disk_warnings(self) -> list[str]:
        forecast = self.forecast
        if forecast.disk_in_all <= self.cap or not self.traffic_given:
            return []
        days = forecast.disk_per_day and self.cap / forecast.disk_per_day
        return [
            f"disk: {size_text(forecast.disk_in_all)} are more than storage.max_size {size_text(self.cap)}: after about"
            f" {number(days)} days the oldest rows go, before retention_days has passed"
        ]


def _folded(model: ModelForecast, limit: int) -> list[str]:
    """Say what of a model is not exposed by itself, as it would be too many series."""
    out, plan = [], model.plan
    more = f"all would be more than {number(limit)} series (expose.max_series_per_model)"
    if model.config.segments and plan.named is None:
        out.append(
            f"segments: inputs and scores are exposed for all segments together, only classes by segment; {more}"
        )
    elif model.config.segments and plan.named is not None and plan.named < MAX_SEGMENTS:
        out.append(f"segments: the first {plan.named} that come are exposed by themselves, all others as one; {more}")
    if plan.hidden:
        names = listed(sorted(plan.hidden), 3)
        out.append(f"{len(plan.hidden)} inputs are counted but not exposed, the least important: {names}; {more}")
    return out


def _cap(config: MonitoringConfig) -> int:
    try:
        folder = default_storage_path(None, config).absolute()
    except ConfigError:  # the environment names an address; whoever opens the storage says so
        folder = Path.cwd()
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    return size_cap(there, config.storage.max_bytes)


def _alertmanager_warnings(config: MonitoringConfig) -> list[str]:
    """Return what of the alerting section Alertmanager can't do, where it is who tells."""
    if config.alerting.mode == "direct":
        return []
    from modelwatch_rules.routing import routing_warnings

    # Those about models are told above, for both ways of alerting in the same words.
    return [warning for warning in routing_warnings(config) if warning.startswith("alerting.")]


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _summary(config: MonitoringConfig) -> list[str]:
    count = len(config.models)
    lines = [f"{count} model{'' if count == 1 else 's'}" if count else "no models: only those that register themselves"]
    width = max((len(model.model_id) for model in config.models), default=0)
    lines += [f"{model.model_id:<{width}}  {_model_line(model)}" for model in config.models]
    if config.alerting.mode == "prometheus":
        lines.append("alerts of scheduled checks: by Prometheus and Alertmanager (modelwatch rules generate)")
    if receivers := config.alerting.receivers:
        named = ", ".join(f"{name} ({r.type})" if name != r.type else name for name, r in receivers.items())
        lines.append(f"receivers: {named}")
    return [*lines, *(f"quiet hours: {line}" for line in quiet_lines(config))]


def _model_line(model: ModelMonitoringConfig) -> str:
    learning = not model.log_predictions and model.reference == "auto"
    return f"{_schedule(model)}{' · rows are kept until its reference is learnt' if learning else ''}"


def _schedule(model: ModelMonitoringConfig) -> str:
    version = f"version {model.model_version} · " if model.model_version else ""
    channels = ", ".join(model.alert_channels) if model.channels_written else "every receiver, else log"
    if model.schedule is not None:
        return f"{version}windows {', '.join(model.drift.windows)} at {model.schedule!r} · channels {channels}"
    every = model.drift_detection_interval
    interval = every if isinstance(every, str) and not every.isdecimal() else f"{every} min"
    return f"{version}windows {', '.join(model.drift.windows)} every {interval} · channels {channels}"


def _told_row(group: Group) -> list[str]:
    return [listed(group.names, 2), *(", ".join(group.told[level]) or _NOBODY for level in LEVELS)]


def _together(rows: list[list[str]], report: ConfigReport) -> list[list[str]]:
    """Return one row for all models of which the same is said, so that fifty alike take no fifty lines."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for model, row in zip(report.forecast.models, rows, strict=True):
        groups.setdefault(tuple(row), []).append(name_of(model.config))
    return [[listed(names, 2), *row] for row, names in ((list(row), names) for row, names in groups.items())]


def _disk_row(model: ModelForecast) -> list[str]:
    kept = f"{model.config.retention_days} days" + ("" if model.config.log_predictions else ", counts only")
    assumed = "" if model.inputs is not None else f"; {ASSUMED_INPUTS} inputs assumed"
    return [size_text(model.disk.day), size_text(model.disk.total), kept + assumed]


def _amount(amount: Amount) -> str:
    """Return a number of series as text, exactly: it is there to be compared.

    >>> _amount(Amount(1234)), _amount(Amount(60, 31))
    ('1 234', '60 + 31 per input')
    """
    fixed = f"{amount.fixed:,}".replace(",", " ")
    return f"{fixed} + {amount.per_input} per input" if amount.per_input else fixed


# ── plain values ─────────────────────────────────────────────────────────────────────────────────────────────────


def _told_json(audience: Audience) -> Mapping[str, list[str]]:
    return {level.label: list(audience.told[level]) for level in LEVELS}


def _amount_json(amount: Amount) -> dict[str, int]:
    return {"fixed": amount.fixed, "per_input": amount.per_input}


def _disk_json(disk: DiskForecast) -> dict[str, Any]:
    by_kind = {kind: round(amount) for kind, amount in disk.per_day.items()}
    return {"bytes_per_day": round(disk.day), "bytes_in_the_end": round(disk.total), "per_day_by_kind": by_kind}


def _model_json(model: ModelForecast, audience: Audience, results: Amount) -> dict[str, Any]:
    config = model.config
    return {
        "model_id": config.model_id,
        "model_version": config.model_version,
        "told": _told_json(audience),
        "inputs": model.inputs,
        "from": model.basis,
        "series": {
            "recordings": _amount_json(model.recorded),
            "results": _amount_json(results),
            "while_all_drifts": _amount_json(model.drifting),
        },
        "disk": _disk_json(model.disk),
        "shape_cannot_alarm": [{"input": spot.feature, "reason": spot.reason} for spot in model.blind],
    }
