"""What Prometheus reads: recordings, and the results of scheduled checks."""

from modelwatch.collector.claims import claim_registry, release_registry
from modelwatch.collector.recording import RecordingCollector
from modelwatch.collector.results import ResultsCollector
from modelwatch.collector.server import MetricsServer, start_metrics_server

__all__ = [
    "MetricsServer",
    "RecordingCollector",
    "ResultsCollector",
    "claim_registry",
    "release_registry",
    "start_metrics_server",
]
