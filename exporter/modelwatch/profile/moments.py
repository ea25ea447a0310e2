"""Mean, spread and quantiles of the reference values of one feature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelwatch.records import FloatArray

QUANTILES: Mapping[str, float] = {
    "q01": 0.01, "q05": 0.05, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q95": 0.95, "q99": 0.99,
}  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Moments of a numeric feature over the finite values of the reference, in the feature's own unit."""

    mean: float
    sd: float
    minimum: float
    maximum: float
    quantiles: Mapping[str, float]
    """By name: q01, q05, q25, q50, q75, q95, q99."""


def moments_of(values: FloatArray) -> Moments:
    """Return the moments of finite, sorted values; sd is that of the values themselves (divisor n).

    >>> m = moments_of(np.array([1.0, 1.0, 3.0, 3.0]))
    >>> m.mean, m.sd, m.quantiles["q50"]
    (2.0, 1.0, 1.0)
    """
    # Scaling by a power of two changes no digit, and keeps squares inside the range of float.
    _, exponent = math.frexp(float(np.abs(values).max()))
    scaled = np.ldexp(values, -exponent)
    mean = math.ldexp(float(scaled.mean()), exponent)
    sd = math.ldexp(float(scaled.std()), exponent)
    low, high = float(values[0]), float(values[-1])
    quantiles = np.quantile(values, list(QUANTILES.values()), method="lower").tolist()
    return Moments(
        mean=min(max(mean, low), high),
        sd=sd if high > low else 0.0,
        minimum=low,
        maximum=high,
        quantiles=dict(zip(QUANTILES, quantiles, strict=True)),
    )
