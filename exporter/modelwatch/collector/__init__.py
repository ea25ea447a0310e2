"""What Prometheus reads: recordings, and the results of scheduled checks."""

from modelwatch.collector.recording import RecordingCollector
from modelwatch.collector.results import ResultsCollector
from modelwatch.collector.server import MetricsServer, start_metrics_server

__all__ = ["MetricsServer", "RecordingCollector", "ResultsCollector", "start_metrics_server"]
