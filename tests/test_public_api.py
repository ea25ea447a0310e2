"""The public API is what it was, until somebody changes it on purpose."""

from __future__ import annotations

import difflib
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import modelwatch
from modelwatch import DriftMonitoringService, ModelMonitoringConfig, ProductionMonitoringService

HERE = Path(__file__).resolve().parent
AGAIN = "if that is meant: python tests/public_api.py > tests/public_api.txt, and a line in CHANGELOG.md"

# The customer's signatures, as their documents have them; what comes behind the * is ours.
FIXED = {
    "register_model": ("config",),
    "record_prediction": (
        "model_id", "prediction", "features", ("actual", None), ("metadata", None), ("latency_ms", None)
    ),
    "update_model_metric": ("model_id", "metric", "value", ("metadata", None)),
    "get_model_metrics": (
        "model_id", ("metric", None), ("start_time", None), ("end_time", None), ("aggregation", None)
    ),
    "get_service_status": (),
    "send_alert": ("severity", "message", ("data", None), ("alert_type", "monitoring")),
    "monitor_model_drift": (
        "model_id", ("current_data", None), ("current_predictions", None), ("current_targets", None),
        ("comprehensive", True),
    ),
    "register_alert_handler": ("channel", "handler"),
    "cleanup_old_data": (),
}  # fmt: skip

DEFAULTS = {
    "performance_metrics": ["accuracy", "latency_ms", "error_rate"],
    "drift_detection_interval": 60,
    "performance_threshold": {"accuracy": 0.95, "latency_ms": 100, "error_rate": 0.01},
    "alert_channels": ["log"],
    "log_predictions": True,
    "retention_days": 90,
    "sampling_rate": 1.0,
}


def by_position(function: object) -> tuple[object, ...]:
    """Return the parameters that can be given by position: the name, and the default if there is one."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]  # type: ignore[arg-type]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    assert not required, f"{required} must be given by name, which the customer's calls do not"
    return tuple(p.name if p.default is p.empty else (p.name, p.default) for p in positional)


@pytest.mark.parametrize("name", FIXED)
def test_the_customers_nine_calls_have_the_customers_signatures(name: str) -> None:
    assert by_position(getattr(ProductionMonitoringService, name)) == FIXED[name]


def test_the_customers_constructors_have_the_customers_signatures() -> None:
    assert by_position(ProductionMonitoringService) == (
        ("config_path", None), ("storage_path", None), ("alert_handlers", None)
    )  # fmt: skip
    assert by_position(DriftMonitoringService) == (("storage_path", None), ("config_path", None))
    assert by_position(DriftMonitoringService.detect_drift) == (
        "model_id", "current_data", ("current_predictions", None), ("current_targets", None)
    )  # fmt: skip


def test_the_customers_configuration_has_the_customers_fields_and_defaults() -> None:
    config = ModelMonitoringConfig(model_id="m")
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


def test_all_lists_the_namespace_and_every_name_can_be_imported_alone() -> None:
    assert sorted(modelwatch.__all__) == dir(modelwatch)
    assert len(set(modelwatch.__all__)) == len(modelwatch.__all__)
    for name in modelwatch.__all__:
        assert getattr(importlib.import_module("modelwatch"), name) is not None
    starred: dict[str, object] = {}
    exec("from modelwatch import *", starred)
    assert set(modelwatch.__all__) <= set(starred)


def test_the_names_of_the_contract_are_all_there() -> None:
    promised = {
        "ProductionMonitoringService", "ModelMonitoringConfig", "AlertLevel", "DriftMonitoringService",
        "DriftMonitoringConfig", "monitor", "ReferenceProfile", "thresholds_from_baseline", "start_metrics_server",
        "make_asgi_app", "make_wsgi_app", "register_collector", "compare", "__version__",
    }  # fmt: skip
    assert set(modelwatch.__all__) == promised


def test_no_public_signature_has_changed_by_accident() -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "public_api.py")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    kept = (HERE / "public_api.txt").read_text(encoding="utf-8")
    difference = "\n".join(difflib.unified_diff(kept.splitlines(), done.stdout.splitlines(), "kept", "now", "", "", 0))
    assert not difference, f"the public API has changed; {AGAIN}\n{difference}"
