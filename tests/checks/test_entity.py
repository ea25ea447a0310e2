"""drift.entity: every row sent five times is no more evidence than the rows are, in checks and in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from modelwatch import checks
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.records import CheckResult

Rows = Callable[..., dict[str, Any]]
Checked = Callable[..., tuple[CheckResult, list[tuple[float, float]]]]
MODEL = {"model_id": "flights", "drift_detection_interval": "4s"}


def five_times(rows: dict[str, Any], first: int = 0) -> dict[str, Any]:
    """Return rows of users, each of which comes five times."""
    n = len(rows["hour"])
    return {name: np.repeat(values, 5) for name, values in {**rows, "user": np.arange(first, first + n) * 1.0}.items()}


@pytest.fixture
def checked(make_stream: Callable[..., Any], make_rows: Rows) -> Checked:
    """Return the last check of 40 s in which 8 users a second send the same five times, and the ranges it read."""

    drawn = [make_rows(8) for _ in range(40)]

    def check(
        entity: str | None, in_metadata: bool = False, **config: Any
    ) -> tuple[CheckResult, list[tuple[float, float]]]:
        drift = {"windows": ["10s", "30s"], "multivariate": "off", **({"entity": entity} if entity else {})}
        stream = make_stream({**MODEL, "drift": drift, **config})
        read: list[tuple[float, float]] = []
        stored = stream.row_sample

        def row_sample(model: str, version: str, start: float, end: float, most: int) -> Any:
            read.append((end - start, end))
            return stored(model, version, start, end, most)

        stream.row_sample = row_sample
        for second, unique in enumerate(drawn):
            rows = five_times(unique, first=8 * second)
            if in_metadata:
                rows["@metadata"] = [{"user": user} for user in rows.pop("user")]
            stream.record(rows, 40, np.repeat(np.random.default_rng(second).beta(2, 5, 8), 5))
            stream.now += 1.0
        return stream.check(stream.now), read

    return check


def p_real(result: CheckResult, window: str) -> dict[str, float]:
    return {t.feature: t.p_real for t in result.families["data"].tests if t.window == window and t.test == "shape"}


@pytest.mark.parametrize("in_metadata", [False, True], ids=["as a feature", "in the metadata"])
def test_users_that_send_all_five_times_are_no_drift(checked: Checked, in_metadata: bool) -> None:
    without, _ = checked(None, in_metadata)
    assert min(p_real(without, "30s").values()) < 1e-6
    found, read = checked("user", in_metadata)
    assert min(p_real(found, "30s").values()) > 1e-4
    assert {family.severity for family in found.families.values()} == {Severity.NONE}
    assert found.windows["30s"] == 1200.0
    assert len(read) == 2  # one query a window


def test_nothing_is_read_where_nobody_names_an_entity_or_no_rows_are_stored(
    checked: Checked,
) -> None:
    plain, read = checked(None)
    assert read == []
    not_stored, read = checked("user", log_predictions=False)
    assert read == []
    assert not_stored.families["data"].tests == plain.families["data"].tests


def test_an_entity_that_no_row_has_is_told_with_the_name_that_was_meant(
    checked: Checked,
) -> None:
    found, _ = checked("usr")
    told = "no stored row has the entity 'usr', rows count as independent (did you mean 'user'?)"
    assert found.families["data"].reason == told
    assert checked("user")[0].families["data"].reason == ""


@pytest.fixture
def asking(config: ModelMonitoringConfig) -> ModelMonitoringConfig:
    return config.model_copy(update={"drift": config.drift.model_copy(update={"entity": "user"})})


def test_a_batch_of_repeats_is_worth_its_entities(
    profile: ReferenceProfile, config: ModelMonitoringConfig, asking: ModelMonitoringConfig, make_rows: Rows
) -> None:
    rows = make_rows(400, km=1.2)
    once = checks.asked_check(config, profile, rows, None, 1.0)
    five = checks.asked_check(asking, profile, five_times(rows), None, 1.0)
    for a, b in zip(once.families["data"].tests, five.families["data"].tests, strict=True):
        assert (b.feature, b.test, b.n) == (a.feature, a.test, 5 * a.n)
        assert b.p_value == pytest.approx(a.p_value)
    together = [result.families["multivariate"].tests[0] for result in (once, five)]
    assert together[1].p_real == pytest.approx(together[0].p_real)


def test_a_batch_without_a_column_of_the_entity_says_so(
    profile: ReferenceProfile, asking: ModelMonitoringConfig, make_rows: Rows
) -> None:
    rows = {**make_rows(400), "users": np.arange(400.0)}
    reason = checks.asked_check(asking, profile, rows, None, 1.0).families["data"].reason
    assert reason == "the entity 'user' is not in the data, rows count as independent (did you mean 'users'?)"
    assert checks.ABSENT in reason
    predictions = np.random.default_rng(1).beta(2, 5, 400)
    alone = checks.asked_check(asking, profile, cast(Any, None), predictions, 1.0)
    assert "entity" not in alone.families["data"].reason
