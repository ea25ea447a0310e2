"""Recording calls of a predict function: as a decorator, or as a ``with`` block around a prediction."""

from modelwatch.decorator.blocks import ModelMonitor
from modelwatch.decorator.observing import CallRecorder, Outcome
from modelwatch.decorator.picks import Pick, check_reference_path
from modelwatch.decorator.wrapping import wrap

__all__ = ["CallRecorder", "ModelMonitor", "Outcome", "Pick", "check_reference_path", "wrap"]
