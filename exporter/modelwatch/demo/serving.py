"""The model server of the demo: a predict function, decorated."""

from __future__ import annotations

from typing import Any

from modelwatch.default import monitor
from modelwatch.demo.delay_model import DelayModel
from modelwatch.demo.flights import Split
from modelwatch.demo.script import Timetable
from modelwatch.demo.settings import MODEL_ID
from modelwatch.demo.stream import FlightStream, LateTruth, Traffic
from modelwatch.service import ProductionMonitoringService

__all__ = ["make_traffic"]


def make_traffic(service: ProductionMonitoringService, model: DelayModel, split: Split, times: Timetable) -> Traffic:
    """Return flights that are served through a monitored predict function, at the timetable's rate."""

    # This is all that a model server has to add. `from modelwatch import monitor` does the same with a service
    # that it makes by itself; the demo has its own, so that it can close it.
    @service.monitor(MODEL_ID)
    def predict(features: dict[str, Any]) -> float:
        return model.predict(features)

    def record_actual(prediction_id: str, late: bool) -> object:
        return service.record_actual(MODEL_ID, prediction_id, int(late))

    truth = LateTruth(*times.truth_after)
    return Traffic(FlightStream(split.stream), predict, monitor.last_prediction_id, record_actual, truth, times.rate)
