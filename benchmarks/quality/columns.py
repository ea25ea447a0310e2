"""Columns whose true distribution over the cells of a profile is known: each is a monotone function of a normal latent.

So a shift of the latent, in its standard deviations, moves every kind of column, and the counts of an hour can be drawn
as one multinomial, whose cost doesn't depend on the number of rows: months of 100 000 rows an hour take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from modelwatch.records import HIGH, LOW, MISSING, CellLayout, FeatureCells, FloatArray

__all__ = ["Column", "State", "columns", "draw_column", "draw_counts", "sample", "shares"]

Draw = Callable[[FloatArray], NDArray[Any]]
LONG_TAIL = tuple(f"c{i:02d}" for i in range(80))
SHARES = (0.5, 0.3, 0.2)
_MISSING = (0.0, 0.0, 0.02, 0.1, 0.3)


@dataclass(frozen=True)
class State:
    """What a column is like in some hours; numbers, or arrays with one number an hour.

    Attributes
    ----------
    mean, sd : float or ndarray
        Of the latent, which is standard normal in the reference.
    missing : float or ndarray or None
        Share of rows without a value; None for the column's own.
    novel : float
        Share of the other rows that hold what the reference never had: above its range, an unknown category.
    moved : float
        Share of all rows that go from the first category to the second.
    """

    mean: float | FloatArray = 0.0
    sd: float | FloatArray = 1.0
    missing: float | FloatArray | None = None
    novel: float = 0.0
    moved: float = 0.0


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        Unique.
    draw : callable
        From latents to values.
    latent : callable or None
        The largest latent whose value is at most an edge; None for categories.
    categories : tuple of str
        In the order of the latent.
    shares : tuple of float
        Of the categories.
    missing : float
        Share of rows without a value.
    """

    name: str
    draw: Draw
    latent: Draw | None = None
    categories: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    missing: float = 0.0


def columns(count: int) -> tuple[Column, ...]:
    """Return `count` columns of seven kinds, missing values from none to 30 %.

    The first is normal, the second has three categories of 50, 30 and 20 %; both are never missing: it is they that
    faults are put into.
    """
    long_tail = 1.0 / np.arange(3.0, 3.0 + len(LONG_TAIL))
    kinds: list[Callable[[str, float], Column]] = [
        lambda name, missing: Column(name, lambda z: z, lambda e: e, missing=missing),
        lambda name, missing: _category(name, ("a", "b", "c"), SHARES, missing),
        lambda name, missing: Column(name, np.exp, _log, missing=missing),
        lambda name, missing: Column(name, _zero_inflated, _zero_inflated_latent, missing=missing),
        lambda name, missing: Column(name, _integer, _integer_latent, missing=missing),
        lambda name, missing: Column(name, _few, _few_latent, missing=missing),
        lambda name, missing: Column(name, lambda z: np.sinh(1.5 * z), lambda e: np.arcsinh(e) / 1.5, missing=missing),
        lambda name, missing: _category(name, LONG_TAIL, tuple(long_tail / long_tail.sum()), missing),
    ]
    return tuple(kinds[i % len(kinds)](f"f{i:03d}", _MISSING[i // len(kinds) % len(_MISSING)]) for i in range(count))


def sample(
    column: Column,
    rng: np.random.Generator,
    rows: int,
    state: State = State(),
) -> NDArray[Any]:
    """Draw `rows` values: float64 with NaN, or objects with None. Arrays of a state give one number a row."""
    share = column.missing if state.missing is None else state.missing
    latents = np.asarray(state.mean) + np.asarray(state.sd) * rng.standard_normal(rows)
    values = column.draw(latents)
    if state.moved:
        first = values == column.categories[0]
        values[first & (rng.random(rows) < state.moved / column.shares[0])] = column.categories[1]
    if state.novel:
        values[rng.random(rows) < state.novel] = "zz-new" if column.categories else np.inf
    values[rng.random(rows) < share] = None if column.categories else np.nan
    return values


def shares(column: Column, member: FeatureCells, state: State) -> FloatArray:
    """Return the true shares of a member's cells, shape (hours, member.size); one hour if the state has no arrays."""
    cuts = _cuts(column, member)
    mean, sd = np.atleast_1d(np.asarray(state.mean, dtype=float)), np.atleast_1d(np.asarray(state.sd, dtype=float))
    below = ndtr((cuts - mean[:, None]) / sd[:, None])
    parts = np.diff(below, axis=1)
    if state.moved:
        parts[:, :2] += (-state.moved, state.moved)
    missing = np.atleast_1d(np.asarray(column.missing if state.missing is None else state.missing, dtype=float))
    out = np.zeros((max(len(mean), len(sd), len(missing)), member.size))
    size = member.shape_size
    if column.categories:
        _place_categories(column, member, parts, out)
    else:
        out[:, size + LOW], out[:, :size], out[:, size + HIGH] = parts[:, 0], parts[:, 1:-1], parts[:, -1]
    out *= 1.0 - state.novel
    out[:, size + (LOW if column.categories else HIGH)] += state.novel
    out *= 1.0 - missing[:, None]
    out[:, size + MISSING] = missing
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def draw_counts(
    layout: CellLayout, those: Sequence[Column], states: Sequence[State], rng: np.random.Generator, rows: FloatArray
) -> FloatArray:
    """Draw the counts of hours over all features, shape (hours, layout.size)."""
    drawn = [
        draw_column(column, member, state, rng, rows)
        for column, member, state in zip(those, layout.features, states, strict=True)
    ]
    return np.concatenate(drawn, axis=1)


def draw_column(
    column: Column, member: FeatureCells, state: State, rng: np.random.Generator, rows: FloatArray
) -> FloatArray:
    """Draw the counts of hours of one column: a multinomial an hour. Shape (hours, member.size)."""
    true = shares(column, member, state)
    pvals = np.broadcast_to(true, (len(rows), member.size))
    return np.asarray(rng.multinomial(rows.astype(np.int64), pvals), dtype=np.float64)


def _cuts(column: Column, member: FeatureCells) -> FloatArray:
    """Return the latents at which one cell ends and the next begins, from -inf to inf."""
    if column.latent is None:
        inner = ndtri(np.cumsum(column.shares)[:-1])
    else:
        edges = np.array([np.nextafter(member.minimum, -np.inf), *member.edges])
        inner = np.maximum.accumulate(column.latent(edges))
    return np.array([-np.inf, *inner, np.inf])


def _place_categories(column: Column, member: FeatureCells, parts: FloatArray, out: FloatArray) -> None:
    places = {text: place for place, text in enumerate(member.categories)}
    size = member.shape_size
    for place, text in enumerate(column.categories):
        known = size - 1 if text in member.known else size + LOW
        out[:, places.get(text, known)] += parts[:, place]


def _category(name: str, texts: tuple[str, ...], share: tuple[float, ...], missing: float) -> Column:
    cuts = ndtri(np.cumsum(share)[:-1])
    labels = np.array(texts, dtype=object)
    return Column(name, lambda z: labels[np.searchsorted(cuts, z)], None, texts, share, missing)


def _log(edges: FloatArray) -> FloatArray:
    return np.log(np.where(edges > 0, edges, 1.0)) + np.where(edges > 0, 0.0, -np.inf)


def _zero_inflated(z: FloatArray) -> FloatArray:
    return np.expm1(np.maximum(z + 0.25, 0.0))


def _zero_inflated_latent(edges: FloatArray) -> FloatArray:
    return np.where(edges < 0, -np.inf, np.log1p(np.maximum(edges, 0.0)) - 0.25)


def _integer(z: FloatArray) -> FloatArray:
    return np.floor(np.exp(3.0 + 0.6 * z))


def _integer_latent(edges: FloatArray) -> FloatArray:
    whole = np.maximum(np.floor(edges) + 1.0, 0.0)
    return (_log(whole) - 3.0) / 0.6


def _few(z: FloatArray) -> FloatArray:
    return np.clip(np.floor(3.0 + 1.2 * z), 0.0, 8.0)


def _few_latent(edges: FloatArray) -> FloatArray:
    inner = (np.floor(edges) + 1.0 - 3.0) / 1.2
    return np.where(edges >= 8.0, np.inf, np.where(edges < 0.0, -np.inf, inner))
