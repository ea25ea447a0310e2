"""Which of the configured models an alert is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig

__all__ = ["model_groups"]


def model_groups(config: MonitoringConfig) -> dict[tuple[str, str], list[ModelMonitoringConfig]]:
    """Return which configured models an alert is about, by model_id and model_version, the particular ones first.

    ``""`` stands for all versions: alerts about the silence of a model, for example, carry none.
    """
    by_id: dict[str, list[ModelMonitoringConfig]] = {}
    for model in config.models:
        by_id.setdefault(model.model_id, []).append(model)
    out = {}
    for model_id, models in by_id.items():
        if len(models) > 1:
            out.update({(model_id, model.model_version): [model] for model in models if model.model_version})
        out[model_id, ""] = models
    return out
