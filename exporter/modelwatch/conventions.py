"""Every metric name, label, unit, help text and bucket list of modelwatch: once.

Code, rules and dashboards import from here, so that a name can't be spelt two ways (contract section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetricType = Literal["counter", "gauge", "histogram"]

PREFIX = "modelwatch_"
DEFAULT_METRICS_PORT = 9100
DEFAULT_SIDECAR_PORT = 9877

MODEL_ID = "model_id"
MODEL_VERSION = "model_version"
SEGMENT = "segment"
PROFILE = "profile"
FEATURE = "feature"
WINDOW = "window"
METHOD = "method"
OTHER_FEATURE = "other"
SAMPLE = "sample"
DRIFT_TYPE = "drift_type"

MODEL_LABELS = (MODEL_ID, MODEL_VERSION)
PROFILE_LABELS = (*MODEL_LABELS, PROFILE, SEGMENT)

OTHER = "__other__"
UNSEEN = "__unseen__"

LATENCY_BUCKETS_SECONDS: tuple[float, ...] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds in seconds; a configured latency threshold is added to them."""

DRIFT_TYPES = ("data", "prediction", "concept", "multivariate")
DRIFT_STATES = (
    "ok", "drift", "held", "learning", "warming_up", "insufficient_data", "insufficient_labels", "no_reference",
    "failed",
)  # fmt: skip
INVALID_REASONS = ("type", "parse", "too_big")
FOLD_REASONS = ("segments", "features")
SIDES = ("below", "above")
ORDERED_METHODS = ("ks", "wasserstein")
"""Further scores that only numbers have: they need an order."""


@dataclass(frozen=True)
class Metric:
    """One metric family: its full exposed name, type, help text and label names in order.

    The last labels may be left out of a sample where that is said; to Prometheus an absent label is an empty one.
    """

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]


def _metric(name: str, type_: MetricType, help_: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, type_, help_, labels)


# Exposed where predictions are made (contract 2.1).
PREDICTIONS = _metric(
    "predictions_total", "counter", "Attempted predictions, sampled or not, failed or not.", *MODEL_LABELS
)
PREDICTION_ERRORS = _metric("prediction_errors_total", "counter", "Attempted predictions that failed.", *MODEL_LABELS)
PREDICTION_LATENCY = _metric("prediction_latency_seconds", "histogram", "Time one prediction took.", *MODEL_LABELS)
SAMPLED_PREDICTIONS = _metric(
    "sampled_predictions_total", "counter", "Predictions whose features were looked at.", *MODEL_LABELS
)
PREDICTION_VALUE = _metric(
    "prediction_value",
    "histogram",
    "Predicted values, or scores of predicted classes, inside the reference range.",
    *PROFILE_LABELS,
)
PREDICTION_CLASS = _metric(
    "prediction_class_total", "counter", "Predictions by predicted class.", *MODEL_LABELS, SEGMENT, "class"
)
FEATURE_VALUE = _metric(
    "feature_value", "histogram", "Values of a numeric feature inside the reference range.", *PROFILE_LABELS, FEATURE
)
FEATURE_OUT_OF_RANGE = _metric(
    "feature_out_of_range_total",
    "counter",
    "Values below or above the reference range.",
    *PROFILE_LABELS,
    FEATURE,
    "side",
)
FEATURE_CATEGORY = _metric(
    "feature_category_total",
    "counter",
    "Values of a categorical feature by category.",
    *PROFILE_LABELS,
    FEATURE,
    "category",
)
FEATURE_MISSING = _metric("feature_missing_total", "counter", "Missing values (None, NaN).", *PROFILE_LABELS, FEATURE)
FEATURE_INVALID = _metric(
    "feature_invalid_total",
    "counter",
    "Values that can't be read as the feature's kind.",
    *PROFILE_LABELS,
    FEATURE,
    "reason",
)
METRIC_VALUE = _metric("metric_value", "gauge", "Last value given to update_model_metric.", *MODEL_LABELS, "metric")
DROPPED_RECORDS = _metric(
    "dropped_records_total",
    "counter",
    "Records that were counted but not looked at or not stored, by reason.",
    *MODEL_LABELS,
    "reason",
)
RECORDER_ERRORS = _metric(
    "recorder_errors_total",
    "counter",
    "Faults inside the recorder, none of which reached the caller.",
    *MODEL_LABELS,
    "reason",
)
FOLDED_SERIES = _metric(
    "folded_series",
    "gauge",
    "Series that are not exposed, as the model would have too many; what they count is stored all the same.",
    *MODEL_LABELS,
    "reason",
)
BUFFERED_RECORDS = _metric(
    "buffered_records", "gauge", "Predictions waiting in this process for the background thread."
)
SHARED_COUNTERS = _metric(
    "shared_counters", "gauge", "1 if this process shares counters with the other workers, 0 if it counts alone."
)
LAST_PREDICTION = _metric(
    "last_prediction_timestamp_seconds", "gauge", "When a prediction was last attempted.", *MODEL_LABELS
)
MODEL_INFO = _metric("model_info", "gauge", "A registered model; always 1.", *MODEL_LABELS, "task", PROFILE)
BUILD_INFO = _metric("build_info", "gauge", "The modelwatch release; always 1.", "version")
STORAGE_INFO = _metric(
    "storage_info", "gauge", "The storage that this process uses, by its random id; always 1.", "storage"
)

# Results of scheduled checks (contract 2.2). Cached between checks, which the help texts say.
_CACHED = " Computed by the last scheduled check."
FEATURE_REFERENCE = _metric(
    "feature_reference",
    "histogram",
    "Values of a numeric feature in the reference; constant.",
    *MODEL_LABELS,
    PROFILE,
    FEATURE,
)
PREDICTION_REFERENCE = _metric(
    "prediction_reference",
    "histogram",
    "Predicted values, or scores of predicted classes, in the reference; constant.",
    *MODEL_LABELS,
    PROFILE,
)
FEATURE_REFERENCE_CATEGORY = _metric(
    "feature_reference_category_ratio",
    "gauge",
    "Share of a category in the reference; constant.",
    *MODEL_LABELS,
    PROFILE,
    FEATURE,
    "category",
)
FEATURE_BIN_INFO = _metric(
    "feature_bin_info",
    "gauge",
    "A bin of a numeric feature, by the texts of its bounds; always 1.",
    *MODEL_LABELS,
    PROFILE,
    FEATURE,
    "lower",
    "upper",
)
DRIFT_SCORE = _metric(
    "drift_score",
    "gauge",
    "Debiased Jensen-Shannon distance from the reference, 0 to 1; with a method, that distance instead; of drift_type "
    "multivariate the root mean square change of atanh of correlations." + _CACHED,
    *MODEL_LABELS,
    DRIFT_TYPE,
    FEATURE,
    WINDOW,
    SEGMENT,
    METHOD,  # left out but for further methods
)
DRIFT_THRESHOLD = _metric(
    "drift_threshold",
    "gauge",
    "Warning tolerance of the test whose score is shown, on the scale of the score; with a method, its fixed threshold."
    + _CACHED,
    *MODEL_LABELS,
    DRIFT_TYPE,
    FEATURE,
    WINDOW,
    SEGMENT,
    METHOD,  # left out but for further methods
)
DRIFT_SEVERITY = _metric(
    "drift_severity",
    "gauge",
    "0 none, 1 info, 2 warning, 3 error, 4 critical; feature '' is the whole model." + _CACHED,
    *MODEL_LABELS,
    DRIFT_TYPE,
    FEATURE,
    SEGMENT,
)
DRIFT_STATE = _metric(
    "drift_state",
    "gauge",
    "1 for the current state of the drift check, 0 for the others.",
    *MODEL_LABELS,
    DRIFT_TYPE,
    "state",
)
FEATURE_SHIFT_SD = _metric(
    "feature_shift_sd",
    "gauge",
    "Shift of the mean in reference standard deviations." + _CACHED,
    *MODEL_LABELS,
    FEATURE,
    WINDOW,
)
FEATURE_MISSING_RATIO = _metric(
    "feature_missing_ratio", "gauge", "Share of missing values in the window." + _CACHED, *MODEL_LABELS, FEATURE, WINDOW
)
FEATURE_NOVEL_RATIO = _metric(
    "feature_novel_ratio",
    "gauge",
    "Share of unseen or out-of-range values in the window." + _CACHED,
    *MODEL_LABELS,
    FEATURE,
    WINDOW,
)
DRIFT_ATTRIBUTION = _metric(
    "drift_attribution_ratio",
    "gauge",
    "Share of a feature in the drift that was found; the five largest." + _CACHED,
    *MODEL_LABELS,
    FEATURE,
    WINDOW,
)
FEATURE_NOISY = _metric(
    "feature_noisy",
    "gauge",
    "1 if a feature varies so much by itself that its shape can't alarm, but its mean; feature '' is the prediction."
    + _CACHED,
    *MODEL_LABELS,
    FEATURE,
)
FEATURE_CORRELATION = _metric(
    "feature_correlation",
    "gauge",
    "Correlation of the normal scores of two features, -1 to 1, now and in the reference; of the five pairs that "
    "changed most, while features do not go together as they did." + _CACHED,
    *MODEL_LABELS,
    FEATURE,
    OTHER_FEATURE,
    WINDOW,
    SAMPLE,
)
DRIFT_CALIBRATED = _metric(
    "drift_calibrated",
    "gauge",
    "1 if tolerances are learnt, from a timestamped reference or from 14 days of production, 0 if not.",
    *MODEL_LABELS,
)
REFERENCE_LEARNED = _metric(
    "reference_learned_ratio",
    "gauge",
    "Share of what is needed to learn a reference from production that is there, 0 to 1; 1 once it is learnt.",
    MODEL_ID,
)
DRIFTED_FEATURES = _metric("drifted_features", "gauge", "Features at warning or above." + _CACHED, *MODEL_LABELS)
SCORED_FEATURES = _metric("scored_features", "gauge", "Features that could be scored." + _CACHED, *MODEL_LABELS)
WINDOW_ROWS = _metric("window_rows", "gauge", "Sampled rows behind the last check.", *MODEL_LABELS, WINDOW, "sample")
DRIFT_CHECKS = _metric("drift_checks_total", "counter", "Scheduled drift checks that were started.", *MODEL_LABELS)
DRIFT_CHECK_FAILURES = _metric(
    "drift_check_failures_total", "counter", "Scheduled drift checks that failed.", *MODEL_LABELS
)
DRIFT_CHECK_DURATION = _metric(
    "drift_check_duration_seconds", "gauge", "Time the last drift check took.", *MODEL_LABELS
)
DRIFT_LAST_SUCCESS = _metric(
    "drift_last_success_timestamp_seconds", "gauge", "When a drift check last succeeded.", *MODEL_LABELS
)
DRIFT_CHECK_INTERVAL = _metric(
    "drift_check_interval_seconds", "gauge", "Longest time between two drift checks that are due.", *MODEL_LABELS
)
LAST_SCRAPE = _metric("last_scrape_timestamp_seconds", "gauge", "When this endpoint was last read; 0 for never.")
NOTIFICATIONS = _metric("notifications_total", "counter", "Notifications that were delivered.", "channel")
NOTIFICATION_FAILURES = _metric(
    "notification_failures_total", "counter", "Notifications that were given up after all retries.", "channel"
)
PERFORMANCE_SEVERITY = _metric(
    "performance_severity",
    "gauge",
    "0 none … 4 critical: what the last value of a performance metric is worth, by its threshold.",
    *MODEL_LABELS,
    "metric",
    SEGMENT,
)
PERFORMANCE_THRESHOLD = _metric(
    "performance_threshold",
    "gauge",
    "Configured floor (min) or ceiling (max) of a metric.",
    *MODEL_LABELS,
    "metric",
    "bound",
)
THRESHOLD_SEVERITY = _metric(
    "performance_threshold_severity",
    "gauge",
    "0 none … 4 critical: what breaking the threshold is worth; never above 2 where nobody wrote it.",
    *MODEL_LABELS,
    "metric",
    "bound",
)
LATENCY_QUANTILE = _metric(
    "latency_quantile_ratio", "gauge", "The latency quantile, 0 to 1, that the latency threshold is for.", *MODEL_LABELS
)
SILENCE_LIMIT = _metric(
    "silence_limit_seconds",
    "gauge",
    "Silence that is still normal for the model, from its gaps of the last 7 days; no sample while that is unknown.",
    MODEL_ID,
)
OBJECTIVE = _metric(
    "objective_ratio",
    "gauge",
    "Share of bad requests that an objective of the model allows; upper: bucket bound in seconds of a latency.",
    *MODEL_LABELS,
    "metric",
    "upper",
)
OBJECTIVE_WINDOW = _metric(
    "objective_window_seconds", "gauge", "The period that the objectives of the model are meant over.", *MODEL_LABELS
)
CONFIG_RELOAD_OK = _metric(
    "config_last_reload_successful", "gauge", "1 if the last reload of the configuration succeeded, else 0."
)
CONFIG_RELOAD_TIME = _metric(
    "config_last_reload_success_timestamp_seconds", "gauge", "When the configuration was last loaded successfully."
)
STORE_SIZE = _metric("store_size_bytes", "gauge", "Size of the storage on disk.")

RECORDING_METRICS: tuple[Metric, ...] = (
    PREDICTIONS, PREDICTION_ERRORS, PREDICTION_LATENCY, SAMPLED_PREDICTIONS, PREDICTION_VALUE, PREDICTION_CLASS,
    FEATURE_VALUE, FEATURE_OUT_OF_RANGE, FEATURE_CATEGORY, FEATURE_MISSING, FEATURE_INVALID, METRIC_VALUE,
    LAST_PREDICTION, DROPPED_RECORDS, RECORDER_ERRORS, FOLDED_SERIES, BUFFERED_RECORDS, SHARED_COUNTERS, MODEL_INFO,
    BUILD_INFO, STORAGE_INFO,
)  # fmt: skip
CHECK_METRICS: tuple[Metric, ...] = (
    PERFORMANCE_SEVERITY, PERFORMANCE_THRESHOLD, THRESHOLD_SEVERITY, LATENCY_QUANTILE, SILENCE_LIMIT, OBJECTIVE,
    OBJECTIVE_WINDOW,
)  # fmt: skip
"""What rules compare recordings with; exposed beside the results of checks."""
RESULT_METRICS: tuple[Metric, ...] = (
    FEATURE_REFERENCE, PREDICTION_REFERENCE, FEATURE_REFERENCE_CATEGORY, FEATURE_BIN_INFO, DRIFT_SCORE, DRIFT_THRESHOLD,
    DRIFT_SEVERITY, DRIFT_STATE, FEATURE_SHIFT_SD, FEATURE_MISSING_RATIO, FEATURE_NOVEL_RATIO, DRIFT_ATTRIBUTION,
    FEATURE_NOISY, FEATURE_CORRELATION, DRIFT_CALIBRATED, REFERENCE_LEARNED, DRIFTED_FEATURES, SCORED_FEATURES,
    WINDOW_ROWS, DRIFT_CHECKS,
    DRIFT_CHECK_FAILURES, DRIFT_CHECK_DURATION, DRIFT_LAST_SUCCESS, DRIFT_CHECK_INTERVAL, LAST_SCRAPE, NOTIFICATIONS,
    NOTIFICATION_FAILURES, STORE_SIZE,
    *CHECK_METRICS,
)  # fmt: skip

SIDECAR_METRICS: tuple[Metric, ...] = (CONFIG_RELOAD_OK, CONFIG_RELOAD_TIME)

AGAINST = "against version "
"""With a version after it, the segment under which what was found beside a baseline version is exposed and told."""

# Alert names (contract 2.3) that exist so far.
ALERT_DATA_DRIFT = "MLModelDataDrift"
ALERT_PREDICTION_DRIFT = "MLModelPredictionDrift"
ALERT_MULTIVARIATE_DRIFT = "MLModelMultivariateDrift"
ALERT_LATENCY_HIGH = "MLModelLatencyHigh"
ALERT_ERROR_RATE_HIGH = "MLModelErrorRateHigh"
ALERT_NO_PREDICTIONS = "MLModelNoPredictions"
ALERT_BELOW_FLOOR = "MLModelPerformanceBelowFloor"
ALERT_ABOVE_CEILING = "MLModelPerformanceAboveCeiling"
ALERT_BUDGET_BURN = "MLModelErrorBudgetBurn"
ALERT_TRAFFIC_ANOMALY = "MLModelTrafficAnomaly"
ALERT_INPUT_MISSING = "MLModelInputMissing"
ALERT_INPUT_NOVEL = "MLModelInputNovel"
ALERT_STUCK_OUTPUT = "MLModelStuckOutput"
ALERT_REFERENCE_MISSING = "MLModelReferenceMissing"
ALERT_RECORDS_DROPPED = "ModelwatchRecordsDropped"
ALERT_SERIES_FOLDED = "ModelwatchSeriesFolded"
ALERT_DOWN = "ModelwatchDown"
ALERT_NOTIFICATIONS_FAILING = "ModelwatchNotificationsFailing"
ALERT_CHECK_STALE = "ModelwatchCheckStale"
ALERT_CHECK_FAILING = "ModelwatchCheckFailing"
ALERT_DOWN = "ModelwatchDown"
ALERT_EXPOSED_TWICE = "ModelwatchExposedTwice"
ALERT_WATCHDOG = "ModelwatchWatchdog"
ALERT_TEST = "ModelwatchTest"
"""What `modelwatch alerts test` sends: nothing is wrong."""
ALERT_SENT_BY_HAND = "ModelwatchSentByHand"
"""What Alertmanager calls an alert that an application sent by ``send_alert``, which has no name of its own."""
DRIFT_ALERTS = {
    "data": ALERT_DATA_DRIFT,
    "prediction": ALERT_PREDICTION_DRIFT,
    "multivariate": ALERT_MULTIVARIATE_DRIFT,
}

MODEL_ALERTS: tuple[str, ...] = (
    ALERT_DATA_DRIFT, ALERT_PREDICTION_DRIFT, ALERT_MULTIVARIATE_DRIFT, ALERT_LATENCY_HIGH, ALERT_ERROR_RATE_HIGH,
    ALERT_NO_PREDICTIONS, ALERT_BELOW_FLOOR, ALERT_ABOVE_CEILING, ALERT_CHECK_FAILING,
)  # fmt: skip
"""The alerts that modelwatch tells by itself, and that ``silence_alerts`` takes."""
