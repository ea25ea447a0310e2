"""PromQL for panels: selectors that can only name metrics and labels that exist, and the shapes used more than once."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.conventions import Metric
from modelwatch.exceptions import InputError

__all__ = ["quoted", "rate", "select", "share_by_bin", "share_by_category", "state_code", "threshold"]

TARGET_MATCHERS = 'job=~"$job",instance=~"$instance"'
MODEL_MATCHERS = {c.MODEL_ID: '="$model_id"', c.MODEL_VERSION: '=~"$model_version"'}
BUCKET_LABEL = "le"
RATE_RANGE = "[$__rate_interval]"
WINDOW_RANGE = f"[${c.WINDOW}]"


def select(metric: Metric, /, **matchers: str) -> str:
    """
    Return a selector of the chosen model's series, on the chosen jobs and instances; of a histogram, its buckets.

    Parameters
    ----------
    metric
        One of :mod:`modelwatch.conventions`.
    **matchers
        By label, operator and quoted value: ``feature='!=""'``.

    Raises
    ------
    InputError
        If the metric doesn't carry a label; a selector that can't match is an empty panel.

    Examples
    --------
    >>> select(c.DRIFTED_FEATURES)
    'modelwatch_drifted_features{job=~"$job",instance=~"$instance",model_id="$model_id",model_version=~"$model_version"}'
    """
    bucket = metric.type == "histogram"
    known = {*metric.labels, *((BUCKET_LABEL,) if bucket else ())}
    if unknown := set(matchers) - known:
        msg = f"{metric.name} has no label {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        raise InputError(msg)
    model = {label: matcher for label, matcher in MODEL_MATCHERS.items() if label in known}
    inner = [TARGET_MATCHERS, *(f"{label}{matcher}" for label, matcher in (model | matchers).items())]
    return f"{metric.name}{'_bucket' if bucket else ''}{{{','.join(inner)}}}"


def quoted(value: str) -> str:
    """Return a matcher of exactly this value, from our own constants: nothing in them needs escaping."""
    return f'="{value}"'


def rate(metric: Metric, by: str, /, **matchers: str) -> str:
    """Return a counter's rate per second, summed to the labels `by`."""
    return f"sum by ({by}) (rate({select(metric, **matchers)}{RATE_RANGE}))"


def threshold(metric: str, bound: str) -> str:
    """Return the configured floor (``min``) or ceiling (``max``) of a metric, in the metric's own unit."""
    return f"max({select(c.PERFORMANCE_THRESHOLD, metric=quoted(metric), bound=quoted(bound))})"


def state_code() -> str:
    """Return the position of the current state in ``DRIFT_STATES``, so that words can stand for it."""
    by = f"{c.MODEL_VERSION}, {c.DRIFT_TYPE}"
    return " + ".join(
        f"{code} * max by ({by}) ({select(c.DRIFT_STATE, state=quoted(state))})"
        for code, state in enumerate(c.DRIFT_STATES)
    )


def share_by_bin(current: Metric, reference: Metric, **matchers: str) -> tuple[str, str]:
    """
    Return the cumulative shares of the values, by upper bound of their bin: in the window now, and in the reference.

    Each is divided by its own ``+Inf`` bucket, so that both are of the values inside the reference range. Grafana's
    ``heatmap`` format takes neighbours apart. The label ``sample`` tells the two from each other afterwards.
    """
    current_of = {bound: select(current, le=f'{bound}"+Inf"', **matchers) for bound in ("=", "!=")}
    reference_of = {bound: select(reference, le=f'{bound}"+Inf"', **matchers) for bound in ("=", "!=")}
    now = (
        f"sum by ({BUCKET_LABEL}) (increase({current_of['!=']}{WINDOW_RANGE}))"
        f" / on () group_left () (sum(increase({current_of['=']}{WINDOW_RANGE})) > 0)"
    )
    then = f"max by ({BUCKET_LABEL}) ({reference_of['!=']}) / on () group_left () (max({reference_of['=']}) > 0)"
    return _labelled(now, "current"), _labelled(then, "reference")


def share_by_category(**matchers: str) -> tuple[str, str]:
    """Return the share of each category: in the window now, and in the reference."""
    counts = f"increase({select(c.FEATURE_CATEGORY, **matchers)}{WINDOW_RANGE})"
    now = f"sum by (category) ({counts}) / on () group_left () (sum({counts}) > 0)"
    return now, f"max by (category) ({select(c.FEATURE_REFERENCE_CATEGORY, **matchers)})"


def _labelled(expr: str, sample: str) -> str:
    return f'label_replace({expr}, "sample", "{sample}", "", "")'
