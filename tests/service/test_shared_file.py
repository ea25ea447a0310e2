"""A sidecar's configuration file goes over what applications say in code; they learn of it through the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwatch.profile import ReferenceProfile
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch


@pytest.fixture
def sidecar(tmp_path: Path, clock: Any) -> Iterator[Callable[[str], Watch]]:
    """Return a factory of sidecars with a configuration file, which has the checks and has looked around once."""
    made: list[Watch] = []

    def make(text: str) -> Watch:
        path = tmp_path / "models.yaml"
        path.write_text(text, encoding="utf-8")
        watch = Watch(Settings(storage=str(tmp_path / "storage"), config_path=path), clock)
        made.append(watch)
        assert watch.renew_leases()
        watch.refresh()
        return watch

    yield make
    for watch in made:
        watch.close()


def _status(service: Any) -> dict[str, Any]:
    service._parts.follower.now()
    (model,) = service.get_service_status()["models"]
    status: dict[str, Any] = model
    return status


def _config(service: Any) -> Any:
    return service._parts.book.get("m").config


def test_the_file_of_a_sidecar_wins_key_by_key_and_the_difference_is_a_warning(make_service: Any, sidecar: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "sampling_rate": 1.0, "retention_days": 30})
    sidecar("models:\n  - {model_id: m, sampling_rate: 0.0, drift_detection_interval: 5m}\n")
    warnings = _status(service)["warnings"]
    assert "sampling_rate is 1.0 in code and 0.0 in the sidecar's configuration file; the file wins" in warnings
    config = _config(service)
    assert (config.sampling_rate, config.retention_days, config.interval_seconds) == (0.0, 30, 300.0)
    assert service.record_prediction("m", 0.5, {})["sampled"] is False


def test_when_the_file_changes_applications_follow_and_when_it_says_nothing_the_code_counts_again(
    make_service: Any, sidecar: Any, tmp_path: Path
) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "sampling_rate": 1.0})
    watch = sidecar("models:\n  - {model_id: m, sampling_rate: 0.0}\n")
    _status(service)
    assert _config(service).sampling_rate == 0.0
    for text, rate in (("models:\n  - {model_id: m, sampling_rate: 0.25}\n", 0.25), ("models: []\n", 1.0)):
        (tmp_path / "models.yaml").write_text(text, encoding="utf-8")
        watch.reload()
        watch.refresh()
        _status(service)
        assert _config(service).sampling_rate == rate


def test_an_application_s_own_file_goes_over_that_of_the_sidecar(
    make_service: Any, sidecar: Any, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("models:\n  - {model_id: m, sampling_rate: 0.5}\n", encoding="utf-8")
    service = make_service(config_path=own)
    sidecar("models:\n  - {model_id: m, sampling_rate: 0.0}\n")
    _status(service)
    assert _config(service).sampling_rate == 0.5


def test_a_model_registered_later_follows_the_file_too(make_service: Any, sidecar: Any) -> None:
    service = make_service()
    sidecar("models:\n  - {model_id: m, sampling_rate: 0.0}\n")
    service._parts.follower.now()
    answer = service.register_model({"model_id": "m", "sampling_rate": 1.0})
    assert answer["config"]["sampling_rate"] == 0.0
    assert any("the file wins" in warning for warning in answer["warnings"])


def test_a_reference_that_was_set_stays(make_service: Any, sidecar: Any, profile: ReferenceProfile) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    service.set_reference("m", profile)
    sidecar("models:\n  - {model_id: m, retention_days: 7}\n")
    assert _status(service)["reference"] == f"profile {profile.id[:8]}, given by a call"
    assert _config(service).retention_days == 7


def test_the_sidecar_and_the_application_agree_in_the_end(make_service: Any, sidecar: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "drift_detection_interval": "1h"})
    watch = sidecar("models:\n  - {model_id: m, drift_detection_interval: 5m}\n")
    _status(service)
    watch.refresh()
    (theirs,) = [m.config for m in watch.models()]
    assert theirs.interval_seconds == _config(service).interval_seconds == 300.0
