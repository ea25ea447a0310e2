"""Configuration: what people write, validated, with errors that name the file, the key and what is allowed.

One module per step: `values` (durations, names), `document` (a file as plain values with line numbers), `problems`
(mistakes as sentences), `cron`, `base`, `thresholds`, `segments`, `drift`, `objective`, `model`, `receivers`,
`quiet_hours`, `alerting`, `monitoring` (the objects), `loading`.
"""

from modelwatch.config.alerting import (
    ALL_LABELS,
    AlertingConfig,
    AlertmanagerReceiver,
    EmailReceiver,
    GroupingConfig,
    LogReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
    channels_without_receiver,
    environment_receivers,
)
from modelwatch.config.base import SeverityName
from modelwatch.config.cron import Cron, parse_cron
from modelwatch.config.drift import DriftMonitoringConfig, DriftThresholds, FeaturesConfig
from modelwatch.config.loading import config_error, default_storage_path, find_config, load_config, named_config
from modelwatch.config.model import ModelMonitoringConfig
from modelwatch.config.monitoring import DEFAULT_MAX_SERIES, ExposeConfig, MonitoringConfig, StorageConfig
from modelwatch.config.objective import DEFAULT_ALERT_SEVERITIES, AlertSeverity, Objective
from modelwatch.config.quiet_hours import WEEKDAYS, QuietHours
from modelwatch.config.thresholds import KNOWN_METRICS, Task, Threshold, ThresholdRange
from modelwatch.config.values import parse_duration, validate_name

__all__ = [
    "ALL_LABELS",
    "DEFAULT_ALERT_SEVERITIES",
    "DEFAULT_MAX_SERIES",
    "KNOWN_METRICS",
    "WEEKDAYS",
    "AlertSeverity",
    "AlertingConfig",
    "AlertmanagerReceiver",
    "Cron",
    "DriftMonitoringConfig",
    "DriftThresholds",
    "EmailReceiver",
    "ExposeConfig",
    "FeaturesConfig",
    "GroupingConfig",
    "LogReceiver",
    "ModelMonitoringConfig",
    "MonitoringConfig",
    "Objective",
    "PagerDutyReceiver",
    "QuietHours",
    "Receiver",
    "SeverityName",
    "SlackReceiver",
    "StorageConfig",
    "Task",
    "Threshold",
    "ThresholdRange",
    "WebhookReceiver",
    "channels_without_receiver",
    "config_error",
    "default_storage_path",
    "environment_receivers",
    "find_config",
    "load_config",
    "named_config",
    "parse_cron",
    "parse_duration",
    "validate_name",
]
