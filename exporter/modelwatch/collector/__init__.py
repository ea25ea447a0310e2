"""What Prometheus reads: recordings, and the results of scheduled checks."""

from modelwatch.collector.apps import AsgiApp, Source, make_asgi_app, make_wsgi_app
from modelwatch.collector.claims import claim_registry, release_registry
from modelwatch.collector.multiprocess import multiprocess_warning
from modelwatch.collector.parts import SourceCollector
from modelwatch.collector.recording import RecordingCollector
from modelwatch.collector.rendering import accepts_gzip, render
from modelwatch.collector.results import ResultsCollector
from modelwatch.collector.server import MetricsServer, start_metrics_server

__all__ = [
    "AsgiApp",
    "MetricsServer",
    "RecordingCollector",
    "ResultsCollector",
    "Source",
    "SourceCollector",
    "accepts_gzip",
    "claim_registry",
    "make_asgi_app",
    "make_wsgi_app",
    "multiprocess_warning",
    "release_registry",
    "render",
    "start_metrics_server",
]
