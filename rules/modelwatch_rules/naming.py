"""Names of recorded series: ``level:metric:operations``, as Prometheus' own documentation has it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from modelwatch.conventions import Metric

__all__ = ["quantile_name", "quantile_percent", "record_name"]


def record_name(level: Iterable[str], metric: Metric, operations: str, *, suffix: str = "") -> str:
    """Return the name of a recorded series.

    Parameters
    ----------
    level
        The labels that its series carry.
    metric
        What it is made from; ``_total`` goes, as a rate or an increase is no counter.
    operations
        What was done, the newest first.
    suffix
        Of one series of a histogram: ``"_bucket"``.

    Examples
    --------
    >>> from modelwatch.conventions import PREDICTIONS
    >>> record_name(["model_id"], PREDICTIONS, "rate5m")
    'model_id:modelwatch_predictions:rate5m'
    """
    return f"{'_'.join(level)}:{metric.name.removesuffix('_total')}{suffix}:{operations}"


def quantile_name(quantile: float) -> str:
    """Return a quantile as part of a name.

    >>> quantile_name(0.95), quantile_name(0.5), quantile_name(0.999)
    ('p95', 'p50', 'p99_9')
    """
    return f"p{quantile_percent(quantile).replace('.', '_')}"


def quantile_percent(quantile: float) -> str:
    """Return a quantile in percent.

    >>> quantile_percent(0.95), quantile_percent(0.999)
    ('95', '99.9')
    """
    return format((Decimal(str(quantile)) * 100).normalize(), "f")
