"""Recording predictions: one append on the request path, exact counters in the background."""

from modelwatch.recorder.blocks import SlotTotals
from modelwatch.recorder.ids import last_prediction_id
from modelwatch.recorder.models import RecordedModel
from modelwatch.recorder.pending import Sink
from modelwatch.recorder.recorder import Recorder

__all__ = ["RecordedModel", "Recorder", "Sink", "SlotTotals", "last_prediction_id"]
