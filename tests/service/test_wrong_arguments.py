"""What a constructor or flush can do nothing with is refused with a sentence, and leaves nothing behind."""

from __future__ import annotations

import re
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch import DriftMonitoringService, ProductionMonitoringService, monitor
from modelwatch.exceptions import ConfigError, InputError, ModelwatchError
from modelwatch.service.given import wait_seconds

SERVICES = [ProductionMonitoringService, DriftMonitoringService]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("argument", ["storage_path", "config_path"])
@pytest.mark.parametrize("value", [5, [], {"models": []}, b"x", True, 0])
def test_what_is_no_path_is_refused_and_names_no_folder(
    service: Any, argument: str, value: Any, tmp_path: Path
) -> None:
    kind = type(value).__name__
    with pytest.raises(InputError, match=rf"^{argument} must be a path \(text or pathlib.Path\), got {kind}$"):
        service(**{argument: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("argument", ["storage_path", "config_path"])
def test_no_path_has_a_nul_in_it(service: Any, argument: str) -> None:
    with pytest.raises(InputError, match=f"^{argument} .*NUL"):
        service(**{argument: "a\0b.yaml"})


@pytest.mark.parametrize("service", SERVICES)
def test_a_file_with_control_characters_is_said_to_be_that(service: Any, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("models: []\0")
    with pytest.raises(ConfigError, match=r"c\.yaml: not valid YAML: the file holds a control character"):
        service(storage_path=tmp_path / "s", config_path=tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"config": {"models": []}}, "config must be a MonitoringConfig, such as load_config() returns, got dict"),
        ({"config": {}}, "config must be a MonitoringConfig"),
        ({"registry": 5}, "registry must be a prometheus_client CollectorRegistry, got int"),
        ({"clock": 5}, "clock must be callable, got int"),
    ],
)
def test_other_arguments_are_refused_before_anything_is_made(
    arguments: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        ProductionMonitoringService(storage_path=tmp_path / "s", **arguments)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("timeout", ["x", None, [], True, float("nan"), "5", np.zeros(2)])
def test_a_flush_that_waits_for_no_number_is_refused(make_service: Any, timeout: Any) -> None:
    for flush in (make_service().flush, monitor.flush):
        with pytest.raises(InputError, match=r"^timeout must be a number of seconds, got "):
            flush(timeout)


@pytest.mark.parametrize("timeout", [float("inf"), 10, np.float32(10), 1e300])
def test_a_flush_waits_as_long_as_it_may(make_service: Any, timeout: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    service.record_prediction("m", 0.5, {"a": 1.0})
    assert service.flush(timeout)


def test_a_flush_of_less_than_no_time_does_not_wait_and_does_not_raise(make_service: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    service.record_prediction("m", 0.5, {"a": 1.0})
    assert service.flush(-5) in (True, False)
    assert service.flush()


@given(
    value=st.one_of(
        st.floats(), st.integers(), st.booleans(), st.text(), st.none(), st.binary(), st.just(Decimal("1.5"))
    )
)
def test_whatever_is_given_it_is_a_time_that_a_lock_can_wait_or_a_sentence(value: Any) -> None:
    try:
        seconds = wait_seconds(value)
    except ModelwatchError:
        return
    assert 0.0 <= seconds <= threading.TIMEOUT_MAX
