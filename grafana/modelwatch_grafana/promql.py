"""PromQL for panels: selectors that can only name metrics and labels that exist, and the shapes used more than once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelwatch import conventions as c
from modelwatch.conventions import Metric
from modelwatch.exceptions import InputError

__all__ = [
    "RATE_RANGE",
    "TARGET_MATCHERS",
    "bridged",
    "bridged_while_down",
    "latest_age",
    "quoted",
    "rate",
    "rate_of",
    "select",
    "select_any",
    "share_by_bin",
    "share_by_category",
    "state_code",
    "step_of",
    "threshold",
    "version_change",
]

TARGET_MATCHERS = 'job=~"$job",instance=~"$instance"'
MODEL_MATCHERS = {c.MODEL_ID: '="$model_id"', c.MODEL_VERSION: '=~"$model_version"', c.SEGMENT: '=~"$segment"'}
ANY_MODEL_MATCHERS = {c.MODEL_ID: '=~"$model_id"'}
BUCKET_LABEL = "le"
RATE_RANGE = "[$__rate_interval]"
WINDOW_RANGE = f"[${c.WINDOW}]"
BRIDGE = "5m"
"""How long a sample stands in for a failed scrape: as long as Prometheus itself looks back."""
VERSION_MEMORY = "1h"
"""A version that comes back sooner, after a time when nothing was exposed, is not a change."""


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
    return _selector(metric, MODEL_MATCHERS, matchers)


def select_any(metric: Metric, /, **matchers: str) -> str:
    """
    Return a selector of all models that are chosen where several can be, on the chosen jobs and instances.

    Examples
    --------
    >>> select_any(c.DRIFT_CHECKS)
    'modelwatch_drift_checks_total{job=~"$job",instance=~"$instance",model_id=~"$model_id"}'
    """
    return _selector(metric, ANY_MODEL_MATCHERS, matchers)


def _selector(metric: Metric, chosen: Mapping[str, str], matchers: Mapping[str, str]) -> str:
    bucket = metric.type == "histogram"
    known = {*metric.labels, *((BUCKET_LABEL,) if bucket else ())}
    if unknown := set(matchers) - known:
        msg = f"{metric.name} has no label {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        raise InputError(msg)
    both = {label: matcher for label, matcher in chosen.items() if label in known} | dict(matchers)
    inner = [TARGET_MATCHERS, *(f"{label}{matcher}" for label, matcher in both.items())]
    return f"{metric.name}{'_bucket' if bucket else ''}{{{','.join(inner)}}}"


def quoted(value: str) -> str:
    """Return a matcher of exactly this value, from our own constants: nothing in them needs escaping."""
    return f'="{value}"'


def bridged(selector: str) -> str:
    """
    Return the last samples of the last minutes, for what is asked at one instant.

    A failed scrape ends a series at once, so that a tile or a table would say "no check yet" until the next one.
    """
    return f"last_over_time({selector}[{BRIDGE}])"


def bridged_while_down(selector: str) -> str:
    """
    Return the last samples of the last minutes of targets that are not up, and what the others expose now.

    For what is exposed only while there is something to say (a score, what makes up a drift): its end is news, and only
    a target that can't be read leaves open whether it has ended.
    """
    return f"{selector} or {bridged(selector)} unless on (job, instance) (up{{{TARGET_MATCHERS}}} == 1)"


def latest_age(selector: str, by: str = "") -> str:
    """Return how long ago the newest of some times was, in seconds; by labels if any are given."""
    return f"time() - max{f' by ({by}) ' if by else ''}({bridged(selector)})"


def rate(metric: Metric, by: str, /, **matchers: str) -> str:
    """Return the rate per second of the chosen model's counter, summed to the labels `by`."""
    return rate_of(select(metric, **matchers), by)


def rate_of(selector: str, by: str = "") -> str:
    """Return a counter's rate per second, summed to the labels `by`, or altogether."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({selector}{RATE_RANGE}))"


def step_of(metric: Metric, by: str) -> str:
    """Return how much a counter of any model rises from point to point: how many, where a rate is a thousandth."""
    return f"sum by ({by}) (increase({select_any(metric)}{RATE_RANGE}))"


def threshold(metric: str, bound: str) -> str:
    """Return the configured floor (``min``) or ceiling (``max``) of a metric, in the metric's own unit."""
    return f"max({select(c.PERFORMANCE_THRESHOLD, metric=quoted(metric), bound=quoted(bound))})"


def state_code(selector: Callable[..., str], by: str, /, **matchers: str) -> str:
    """
    Return the position of the current state in ``DRIFT_STATES``, so that words can stand for it.

    Parameters
    ----------
    selector
        :func:`select` or :func:`select_any`.
    by
        The labels to keep.
    """
    # Of two targets that say different things (one replaced the other a minute ago) the larger code is shown.
    codes = " or ".join(
        f"{code} * ({bridged(selector(c.DRIFT_STATE, state=quoted(state), **matchers))} == 1)"
        for code, state in enumerate(c.DRIFT_STATES)
    )
    return f"max by ({by}) ({codes})"


def version_change() -> str:
    """
    Return the versions of the chosen model that have just appeared, for 5 minutes each.

    A version is new if it was not there 5 minutes ago though another was (a deployment, a canary, a return to the
    version before), or if only others were there in the last hour (a deployment with a break). The first version of
    all is no change, and neither is the same version after a break.
    """
    # Of all versions, whichever is chosen: the one before need not be among those.
    selector = select(c.MODEL_INFO, model_version='=~".*"')
    now = f"max by ({c.MODEL_VERSION}) ({selector})"
    ways = []
    for lookback in (BRIDGE, VERSION_MEMORY):
        before = f"last_over_time({selector}[{lookback}] offset {BRIDGE})"
        ways.append(f"({now} unless max by ({c.MODEL_VERSION}) ({before}) and on () max({before}))")
    return " or ".join(ways)


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
    bounds, all_of = bridged(reference_of["!="]), bridged(reference_of["="])
    then = f"max by ({BUCKET_LABEL}) ({bounds}) / on () group_left () (max({all_of}) > 0)"
    return _labelled(now, "current"), _labelled(then, "reference")


def share_by_category(**matchers: str) -> tuple[str, str]:
    """Return the share of each category: in the window now, and in the reference."""
    counts = f"increase({select(c.FEATURE_CATEGORY, **matchers)}{WINDOW_RANGE})"
    now = f"sum by (category) ({counts}) / on () group_left () (sum({counts}) > 0)"
    return now, f"max by (category) ({bridged(select(c.FEATURE_REFERENCE_CATEGORY, **matchers))})"


def _labelled(expr: str, sample: str) -> str:
    return f'label_replace({expr}, "sample", "{sample}", "", "")'
