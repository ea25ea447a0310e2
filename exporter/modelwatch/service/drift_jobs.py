"""The drift checks of one model: every live version scored, the results stored, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelwatch.conventions import DRIFT_ALERTS
from modelwatch.notify import messages
from modelwatch.notify.engine import AlertEngine, Condition
from modelwatch.policy import Severity
from modelwatch.recorder.segments import MAX_SEGMENTS
from modelwatch.records import CheckResult, FamilyResult
from modelwatch.service.batch_check import load_checks
from modelwatch.service.facts import surroundings
from modelwatch.store import check_result_to_json

if TYPE_CHECKING:
    from modelwatch.checks import Absence
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.service.calibrating import Calibration
    from modelwatch.service.models import ModelBook, RegisteredModel
    from modelwatch.service.stored_profiles import StoredProfiles
    from modelwatch.store import StoreWriter
    from modelwatch.store.queries import StoreQueries

__all__ = ["DriftJobs"]


class DriftJobs:
    """Scores models of one store; used by one thread at a time."""

    def __init__(
        self,
        book: ModelBook,
        store: StoreWriter,
        engine: AlertEngine,
        *,
        queries: Callable[[], StoreQueries],
        profiles: StoredProfiles,
        absence: Callable[[ModelMonitoringConfig], Absence],
        calibration: Callable[[str], Calibration | None],
        timezone: Callable[[], str | None],
        operations: Mapping[str, tuple[str, ...]],
        started_at: float,
    ) -> None:
        self._book = book
        self._store = store
        self._engine = engine
        self._queries = queries
        self._profiles = profiles
        self._calibration = calibration
        self._absence = absence
        self._timezone = timezone
        self._operations = operations
        self._started_at = started_at

    def score(self, model: RegisteredModel, now: float) -> list[CheckResult]:
        """Score every live version of a model and store the results."""
        config = model.config
        results = []
        for result, state in self.checked(model, now):
            self._store.save_result(
                result.model_id,
                result.model_version,
                now,
                True,
                result.duration,
                check_result_to_json(result),
                state,
                config.longest_interval_seconds,
            )
            results.append(result)
        return results

    def checked(self, model: RegisteredModel, now: float) -> list[tuple[CheckResult, dict[str, Any]]]:
        """Score every live version; return each result with what the next check needs to know."""
        config = model.config
        versions = self.live_versions(model, now)
        states = {s.model_version: s.state for s in self._store.latest_results() if s.model_id == config.model_id}
        done: dict[str, tuple[CheckResult, dict[str, Any]]] = load_checks().scheduled_checks(
            self._queries(),
            config,
            versions,
            states,
            now,
            segments={
                version: self._segments(config, version, profile.id, states.get(version) or {}, now)
                for version, profile in versions.items()
                if profile is not None
            },
            started_at=self._started_at,
            absence=self._absence(config),
            calibration="" if (learning := self._calibration(config.model_id)) is None else learning.words,
        )
        return list(done.values())

    def _segments(
        self, config: ModelMonitoringConfig, version: str, profile_id: str, state: Mapping[str, Any], now: float
    ) -> dict[str, ReferenceProfile]:
        """Return the segments of a version, and what each is compared with: those seen, and those in alarm."""
        known = self._profiles.segments(profile_id, config.model_id)
        if not known:
            return {}
        since = now - max(config.drift.window_seconds.values())
        seen = self._queries().segments(config.model_id, profile_id, since, version)[:MAX_SEGMENTS]
        names = dict.fromkeys((*seen, *(state.get("parts") or {})))
        return {name: known[name] for name in names if name in known}

    def live_versions(self, model: RegisteredModel, now: float) -> dict[str, ReferenceProfile | None]:
        """Return the versions seen in the longest window, each with the profile that its latest counts belong to."""
        config = model.config
        since = now - max(config.drift.window_seconds.values())
        latest: dict[str, tuple[float, str]] = {}
        for version, profile_id, _, last in self._queries().subjects(config.model_id, since):
            latest[version] = max(latest.get(version, (0.0, "")), (last, profile_id))
        if not latest:
            return {config.model_version: model.profile}
        return {
            version: self._profiles.taught(profile_id, config.model_id) for version, (_, profile_id) in latest.items()
        }

    def conditions(self, model: RegisteredModel, result: CheckResult, now: float) -> list[Condition]:
        """Return what is told of a result."""
        found = []
        for drift_type, family in result.families.items():
            alertname = DRIFT_ALERTS.get(drift_type)
            # Without learnt tolerances ordinary seasons are "real": an info would be a line of noise a check.
            least = Severity.INFO if result.calibrated else Severity.WARNING
            if alertname is None or family.severity < least:
                continue
            found.append(self._drift_condition(model, alertname, result, family, now))
        for part, families in result.segments.items():
            found += self._part_conditions(model, result, part, families, now)
        return found

    def _part_conditions(
        self, model: RegisteredModel, result: CheckResult, part: str, families: Mapping[str, FamilyResult], now: float
    ) -> list[Condition]:
        """Return what is told of a segment, or of a version beside its baseline.

        What the whole model is told to have is not begun to be told of each part again.
        """
        found = []
        # What is known of the reference as a whole says nothing of a part.
        own = replace(
            result, families={**result.families, **families}, reference_rows=0.0, prediction_mean=None, calibrated=True
        )
        for drift_type, family in families.items():
            alertname = DRIFT_ALERTS.get(drift_type)
            if alertname is None or family.severity < Severity.WARNING:
                continue
            told = self._engine.active_since(alertname, result.model_id, result.model_version, part) is not None
            if told or result.families[drift_type].severity < Severity.WARNING:
                found.append(self._drift_condition(model, alertname, own, family, now, part))
        return found

    def _drift_condition(
        self,
        model: RegisteredModel,
        alertname: str,
        result: CheckResult,
        family: FamilyResult,
        now: float,
        part: str = "",
    ) -> Condition:
        family_report = load_checks().family_report
        config = model.config
        since = self._engine.active_since(alertname, config.model_id, result.model_version, part) or now
        text = messages.drift_text(
            result,
            family,
            facts=surroundings(
                self._queries(), config, result.model_version, now, others=self._operations.get(config.model_id)
            ),
            since=since,
            now=now,
            timezone=self._timezone(),
            budget=config.drift.false_alarms_per_30d,
            part=part,
        )
        data: dict[str, Any] = {"model_id": config.model_id, "drift_type": family.drift_type, **family_report(family)}
        if part:
            data["segment"] = part
        return Condition(
            alertname=alertname,
            model_id=config.model_id,
            model_version=result.model_version,
            type=f"{family.drift_type}_drift",
            subject=part,
            severity=family.severity,
            text=text,
            data=data,
            since=since,
            checked_every=config.longest_interval_seconds,
        )
