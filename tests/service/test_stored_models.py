"""Which of the models that applications registered are in use, and how they are configured."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from modelwatch.service.stored import StoredConfigs, in_use
from modelwatch.store import StoredModel, StoreWriter


def model(version: str, last: float | None, updated: float = 0.0, model_id: str = "m") -> StoredModel:
    return StoredModel(model_id, version, {"model_id": model_id, "model_version": version}, 0.0, last, updated)


def versions(*models: StoredModel) -> list[str]:
    return [m.model_version for m in in_use(models)]


def test_a_version_that_is_silent_while_another_predicts_was_replaced() -> None:
    assert versions(model("1", 1000.0), model("2", 10_000.0)) == ["2"]
    assert versions(model("1", 9000.0, 2), model("2", 10_000.0, 1)) == ["2", "1"], "a canary; the latest start last"


def test_a_version_that_never_predicted_may_be_that_of_a_job_that_evaluates() -> None:
    assert versions(model("", None), model("2", 10_000.0, 5)) == ["", "2"]
    assert versions(model("1", None), model("2", None, 5)) == ["1", "2"]


def test_a_model_that_is_silent_as_a_whole_stays() -> None:
    assert versions(model("1", 10.0), model("1", 1e9, model_id="other")) == ["1", "1"]


def test_configurations_are_read_again_only_where_they_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with StoreWriter(tmp_path) as store:
        configs = StoredConfigs(store)
        store.register_model("a", "", {"model_id": "a"}, 1.0)
        store.register_model("b", "", {"model_id": "b", "a_key_of_a_later_release": 1}, 2.0)
        with caplog.at_level(logging.WARNING, "modelwatch"):
            (first,) = configs()
            assert configs() == [first]
        assert configs()[0] is first
        assert caplog.text.count("the model is skipped") == 1
        store.register_model("a", "", {"model_id": "a", "latency_quantile": 0.5}, 3.0)
        assert [config.latency_quantile for config in configs()] == [0.5]
