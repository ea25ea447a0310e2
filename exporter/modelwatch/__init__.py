"""modelwatch: know when your model goes wrong.

Records predictions, compares live traffic with the model's reference profile, and alerts.

>>> from modelwatch import AlertLevel
>>> AlertLevel.ERROR.value
'error'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig, ModelMonitoringConfig
    from modelwatch.config.thresholds import thresholds_from_baseline
    from modelwatch.default import make_asgi_app, make_wsgi_app, monitor, register_collector, start_metrics_server
    from modelwatch.policy import AlertLevel
    from modelwatch.profile import ReferenceProfile
    from modelwatch.reports.comparison import compare
    from modelwatch.service import ProductionMonitoringService
    from modelwatch.service.drift_service import DriftMonitoringService

__version__ = "0.1.0"

__all__ = [
    "AlertLevel",
    "DriftMonitoringConfig",
    "DriftMonitoringService",
    "ModelMonitoringConfig",
    "ProductionMonitoringService",
    "ReferenceProfile",
    "__version__",
    "compare",
    "make_asgi_app",
    "make_wsgi_app",
    "monitor",
    "register_collector",
    "start_metrics_server",
    "thresholds_from_baseline",
]

# Loaded on first use, so that `import modelwatch` costs a model server next to nothing.
_LAZY = {
    "AlertLevel": "modelwatch.policy",
    "DriftMonitoringConfig": "modelwatch.config",
    "DriftMonitoringService": "modelwatch.service.drift_service",
    "ModelMonitoringConfig": "modelwatch.config",
    "ProductionMonitoringService": "modelwatch.service",
    "ReferenceProfile": "modelwatch.profile",
    "compare": "modelwatch.reports.comparison",
    "make_asgi_app": "modelwatch.default",
    "make_wsgi_app": "modelwatch.default",
    "monitor": "modelwatch.default",
    "register_collector": "modelwatch.default",
    "start_metrics_server": "modelwatch.default",
    "thresholds_from_baseline": "modelwatch.config.thresholds",
}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one of these

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
        if name in _LAZY:
            value = getattr(import_module(_LAZY[name]), name)
            globals()[name] = value
            return value
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
