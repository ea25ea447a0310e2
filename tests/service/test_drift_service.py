"""DriftMonitoringService: alone, and beside a service that records on the same storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch import DriftMonitoringConfig, DriftMonitoringService, ReferenceProfile
from modelwatch.store import StoreWriter

RESULT_KEYS = {
    "status", "model_id", "drift_detected", "drift_types", "severity", "summary", "details", "top_features",
    "performance",
}  # fmt: skip


@pytest.fixture
def make_drift(tmp_path: Path, clock: Any) -> Iterator[Callable[..., DriftMonitoringService]]:
    made: list[DriftMonitoringService] = []

    def make(folder: str = "storage", **options: Any) -> DriftMonitoringService:
        service = DriftMonitoringService(options.pop("storage_path", tmp_path / folder), clock=clock, **options)
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


# ── alone ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_shifted_batch_is_found_against_data_of_a_good_time(make_drift: Any, rows: Any, scores: Any) -> None:
    service = make_drift()
    assert service.register_model(DriftMonitoringConfig(model_id="flights"))["status"] == "success"
    answer = service.set_reference("flights", pd.DataFrame(rows(20_000, 1)), predictions=scores(20_000, 1))
    assert (answer["status"], answer["rows"], answer["features"]) == (
        "success",
        20_000,
        ["distance", "carrier", "hour"],
    )
    result = service.detect_drift("flights", rows(1000, 3, kilometres=True), scores(1000, 3))
    assert set(result) == RESULT_KEYS
    assert (result["drift_detected"], result["drift_types"], result["top_features"]) == (True, ["data"], ["distance"])
    assert result["severity"] in ("error", "critical")
    same = service.detect_drift("flights", rows(1000, 4), scores(1000, 4))
    assert (same["drift_detected"], same["severity"], same["drift_types"]) == (False, "none", [])


@pytest.mark.parametrize("how", ["a profile", "its path", "its path as text"])
def test_a_reference_may_be_a_profile_or_the_path_of_one(
    how: str, make_drift: Any, profile: ReferenceProfile, profile_path: Path, rows: Any
) -> None:
    service = make_drift()
    service.register_model({"model_id": "flights"})
    given_as = {"a profile": profile, "its path": profile_path, "its path as text": str(profile_path)}[how]
    assert service.set_reference("flights", given_as)["reference"] == profile.id
    assert service.detect_drift("flights", rows(1000, 3, kilometres=True))["top_features"] == ["distance"]


def test_what_it_was_told_is_known_to_the_next_one_on_the_same_storage(
    make_drift: Any, profile: ReferenceProfile, rows: Any
) -> None:
    first = make_drift()
    first.register_model({"model_id": "flights", "min_rows": 70})
    first.set_reference("flights", profile)
    first.close()
    second = make_drift()
    assert second.detect_drift("flights", rows(60, 3))["details"]["data"]["state"] == "insufficient_data"
    assert second.detect_drift("flights", rows(1000, 3, kilometres=True))["drift_detected"] is True


def test_the_reference_set_last_counts(make_drift: Any, profile: ReferenceProfile, rows: Any) -> None:
    service, other = make_drift(), make_drift()
    service.register_model({"model_id": "flights"})
    service.set_reference("flights", profile)
    other.set_reference("flights", rows(5000, 8, kilometres=True))
    assert service.detect_drift("flights", rows(1000, 3, kilometres=True))["drift_detected"] is False


def test_a_configuration_that_names_another_reference_since_goes_over_the_one_that_was_set(
    make_drift: Any, profile_path: Path, rows: Any
) -> None:
    service = make_drift()
    service.register_model({"model_id": "flights"})
    service.set_reference("flights", rows(5000, 8, kilometres=True))
    service.register_model({"model_id": "flights", "reference": str(profile_path)})
    assert service.detect_drift("flights", rows(1000, 3, kilometres=True))["drift_detected"] is True


def test_without_a_reference_nothing_is_guessed_and_the_summary_says_how_to_get_one(make_drift: Any, rows: Any) -> None:
    service = make_drift()
    service.register_model({"model_id": "flights"})
    result = service.detect_drift("flights", rows(1000, 3), np.zeros(1000))
    assert (result["status"], result["drift_detected"], result["severity"]) == ("success", False, "none")
    assert {kind: family["state"] for kind, family in result["details"].items()} == {
        "data": "no_reference", "prediction": "no_reference", "multivariate": "no_reference",
    }  # fmt: skip
    assert result["summary"].startswith(
        "not scored: no reference yet: pass a profile or data of a good time to set_ref"
    )


def test_a_reference_that_cannot_be_loaded_is_said(make_drift: Any, rows: Any, tmp_path: Path) -> None:
    service = make_drift()
    service.register_model({"model_id": "flights", "reference": str(tmp_path / "gone.json")})
    result = service.detect_drift("flights", rows(1000, 3))
    assert result["drift_detected"] is False
    assert "gone.json" in result["summary"]


def test_a_configuration_file_lists_models_and_goes_over_what_is_registered(
    make_drift: Any, tmp_path: Path, profile: ReferenceProfile, rows: Any
) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - model_id: flights\n    drift: {min_rows: 5000}\n", encoding="utf-8")
    service = make_drift(config_path=path)
    assert service.set_reference("flights", profile)["status"] == "success"
    answer = service.register_model({"model_id": "flights", "min_rows": 50})
    assert "drift is" in answer["warnings"][0]
    state = service.detect_drift("flights", rows(1000, 3))["details"]["data"]["state"]
    assert state == "insufficient_data"


def test_drift_of_predictions_alone_is_scored_without_data(make_drift: Any, profile: Any, scores: Any) -> None:
    service = make_drift()
    service.register_model({"model_id": "flights"})
    service.set_reference("flights", profile)
    result = service.detect_drift("flights", None, 1.0 - scores(1000, 3))
    assert result["drift_types"] == ["prediction"]


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ready(make_drift: Any, profile: ReferenceProfile) -> DriftMonitoringService:
    service: DriftMonitoringService = make_drift()
    service.register_model({"model_id": "flights"})
    service.set_reference("flights", profile)
    return service


def test_targets_are_not_used_yet_which_a_warning_says(ready: DriftMonitoringService, rows: Any) -> None:
    result = ready.detect_drift("flights", rows(1000, 3), None, np.zeros(1000))
    assert result["warnings"] == ["current_targets were not used: concept drift is not scored in this release"]


BATCHES: dict[str, tuple[Any, Any, str]] = {
    "no rows": (pd.DataFrame({"distance": []}), None, "current_data has no rows: there is nothing to score"),
    "an empty list": ([], None, "current_data has no rows"),
    "no predictions": (None, [], "current_predictions is empty"),
    "other columns": (
        {"km": [1.0]},
        None,
        "current_data has none of the reference's features: it has km, the reference",
    ),
    "an array too narrow": (
        np.zeros((5, 2)),
        None,
        "is an array of shape (5, 2); without column names it must have the 3",
    ),
    "an array of one dimension": (np.zeros(5), None, "is an array of shape (5,)"),
    "ragged columns": (
        {"distance": [1.0], "hour": [1.0, 2.0]},
        None,
        "current_data can't be read: column 'hour' has 2 rows",
    ),
    "text": ("flights.csv", None, "current_data can't be read: X is of type str"),
    "too few predictions": (
        {"distance": [1.0, 2.0]},
        [0.5],
        "current_predictions has 1 values, current_data has 2 rows",
    ),
    "many classes": ({"distance": [1.0]}, np.zeros((1, 3)), "current_predictions must be one value a row"),
    "ragged predictions": ({"distance": [1.0]}, [[0.1], [0.2, 0.3]], "current_predictions can't be read"),
    "one prediction": ({"distance": [1.0]}, 0.5, "current_predictions must be one value a row, got float"),
    "nothing": (None, None, "nothing to score: pass current_data, current_predictions or both"),
}


@pytest.mark.parametrize("batch", BATCHES)
def test_a_batch_that_cannot_be_scored_is_a_sentence(batch: str, ready: DriftMonitoringService) -> None:
    data, predictions, sentence = BATCHES[batch]
    answer = ready.detect_drift("flights", data, predictions)
    assert answer["status"] == "error"
    assert sentence in answer["error"]


def test_columns_that_do_not_match_are_named(ready: DriftMonitoringService, rows: Any) -> None:
    data = rows(1000, 3)
    data["distanec"] = data.pop("distance")
    (warning,) = ready.detect_drift("flights", data)["warnings"]
    assert warning == "not in the data: distance; not in the reference: distanec"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    data=st.one_of(
        st.none(), st.text(max_size=5), st.integers(),
        st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3))),
        st.dictionaries(st.sampled_from(["distance", "hour", "x"]), st.one_of(st.none(), st.lists(st.floats()))),
        st.lists(st.dictionaries(st.sampled_from(["distance", "hour"]), st.one_of(st.none(), st.text(max_size=3)))),
    ),
    predictions=st.one_of(st.none(), st.lists(st.one_of(st.floats(), st.text(max_size=3), st.none())), st.integers()),
)  # fmt: skip
def test_whatever_is_passed_the_answer_is_a_result_or_a_sentence(
    data: Any, predictions: Any, ready: DriftMonitoringService
) -> None:
    answer = ready.detect_drift("flights", data, predictions)
    assert answer["status"] == "success" or len(answer["error"]) > 10


def test_unusable_references_and_configurations_are_sentences(make_drift: Any, ready: Any, profile: Any) -> None:
    assert "model_id is required" in make_drift("fresh").register_model({"min_rows": 7})["error"]
    assert "did you mean 'min_rows'?" in ready.register_model({"model_id": "m", "min_row": 7})["error"]
    assert "did you mean 'flights'?" in ready.set_reference("flight", profile)["error"]
    assert "did you mean 'flights'?" in ready.detect_drift("flight", {"a": [1.0]})["error"]
    assert "can't be read" in ready.set_reference("flights", "nowhere.json")["error"]
    refused = ready.set_reference("flights", profile, predictions=[1.0])
    assert "predictions go with data; a profile holds its own" in refused["error"]
    assert ready.set_reference("flights", {"distance": []})["status"] == "error"


def test_after_close_every_call_answers_that_it_is_closed(ready: DriftMonitoringService, profile: Any) -> None:
    with ready as same:
        assert same is ready
    ready.close()
    closed = {"status": "error", "error": "the service is closed"}
    assert ready.register_model({"model_id": "m"}) == closed
    assert ready.set_reference("flights", profile) == closed
    assert ready.detect_drift("flights", {"a": [1.0]}) == closed


def test_where_the_storage_cannot_be_used_it_works_in_memory_and_says_so(
    make_drift: Any, tmp_path: Path, profile: Any, rows: Any
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    service = make_drift(storage_path=tmp_path / "file")
    service.register_model({"model_id": "flights"})
    service.set_reference("flights", profile)
    result = service.detect_drift("flights", rows(1000, 3, kilometres=True))
    assert result["drift_detected"] is True
    assert result["warnings"][0].startswith("only this process knows what it was told:")


# ── beside a service that records ────────────────────────────────────────────────────────────────────────────────


def test_beside_a_service_it_knows_models_and_references_that_are_registered_there(
    make_service: Any, make_drift: Any, watched: Any, rows: Any, scores: Any
) -> None:
    recording, service = make_service(), make_drift()
    assert "registered: none" in service.detect_drift("flights", rows(100, 3))["error"]
    recording.register_model(watched)
    data, predictions = rows(1000, 3, kilometres=True), scores(1000, 3)
    mine = service.detect_drift("flights", data, predictions)
    theirs = recording.monitor_model_drift("flights", data, predictions)
    assert mine == theirs


def test_a_reference_that_the_recording_service_was_given_is_the_one_here_too(
    make_service: Any, make_drift: Any, profile: ReferenceProfile, rows: Any, clock: Any
) -> None:
    recording, service = make_service(), make_drift()
    recording.register_model({"model_id": "flights"})
    recording.set_reference("flights", profile)
    recording.record_predictions("flights", np.zeros(100), rows(100, 3), timestamps=clock.now - 60)
    assert recording.flush()
    assert service.detect_drift("flights", rows(1000, 3, kilometres=True))["top_features"] == ["distance"]


def test_registering_for_drift_alone_keeps_what_the_recording_service_registered(
    make_service: Any, make_drift: Any, watched: Any, tmp_path: Path
) -> None:
    make_service().register_model(watched)
    service = make_drift()
    assert service.register_model({"model_id": "flights", "min_rows": 99})["status"] == "success"
    with StoreWriter(tmp_path / "storage") as store:
        (stored,) = store.models()
    assert stored.config["drift"]["min_rows"] == 99
    assert stored.config["alert_channels"] == ["email"]
    assert stored.config["reference"] == watched.reference


def test_the_result_of_the_last_scheduled_check_can_be_looked_up(
    make_service: Any, make_drift: Any, watched: Any, rows: Any, scores: Any, clock: Any
) -> None:
    recording, service = make_service(), make_drift()
    recording.register_model(watched)
    assert "no scheduled check has run yet" in service.detect_drift("flights", None)["error"]
    times = clock.now - np.linspace(40, 0, 2000)
    recording.record_predictions("flights", scores(2000, 3), rows(2000, 3, kilometres=True), timestamps=times)
    assert recording.flush()
    recording._parts.jobs.check("flights", clock.now)
    result = service.detect_drift("flights", None)
    assert result["top_features"] == ["distance"]
    assert result["warnings"][0].startswith("nothing was passed: this is the result of the scheduled check of 20")


def test_while_a_reference_is_learnt_that_is_said(make_service: Any, make_drift: Any, rows: Any, clock: Any) -> None:
    recording, service = make_service(), make_drift()
    recording.register_model({"model_id": "flights"})
    assert service.detect_drift("flights", rows(100, 3))["details"]["data"]["state"] == "no_reference"
    times = clock.now - np.linspace(3 * 3600, 0, 1240)
    recording.record_predictions("flights", np.zeros(1240), rows(1240, 3), timestamps=times)
    assert recording.flush()
    result = service.detect_drift("flights", rows(100, 3))
    assert result["details"]["data"]["state"] == "learning"
    assert result["summary"] == "not scored: no reference yet: learning, 1 240 of 5 000 rows, 3 of 24 h"


def test_a_reference_that_is_set_here_is_followed_by_the_service_that_records(
    make_service: Any, make_drift: Any, profile: ReferenceProfile, rows: Any
) -> None:
    recording, service = make_service(), make_drift()
    recording.register_model({"model_id": "flights"})
    assert service.set_reference("flights", profile)["status"] == "success"
    recording._parts.references.follow()
    assert recording.monitor_model_drift("flights", rows(1000, 3, kilometres=True))["top_features"] == ["distance"]


def test_a_retired_model_is_known_no_more(make_service: Any, make_drift: Any, watched: Any, rows: Any) -> None:
    recording, service = make_service(), make_drift()
    recording.register_model(watched)
    assert service.detect_drift("flights", rows(100, 3))["status"] == "success"
    recording.retire_model("flights")
    assert "is retired" in service.detect_drift("flights", rows(100, 3))["error"]


def test_it_runs_nothing_in_the_background(ready: DriftMonitoringService, rows: Any) -> None:
    import threading

    ready.detect_drift("flights", rows(1000, 3))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("modelwatch")]
