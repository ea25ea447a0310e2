"""Windows handed to other libraries through files, and what they say about them; PSI > 0.2 by ourselves."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwatch.records import FloatArray
from quality.peers import PEERS, QUIET, TIME, WINDOW

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answer", "Windows", "ask", "psi_above"]

DAY = 86400
PSI_LIMIT, PSI_BINS, PSI_EMPTY = 0.2, 10, 1e-4
Columns = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Windows:
    """A reference and windows, each as columns.

    Attributes
    ----------
    reference : mapping of str to ndarray
        Columns.
    current : mapping of str to ndarray
        Columns of all windows together.
    windows : ndarray of int
        The window of each row of `current`.
    chunks : ndarray of int
        The chunk of each row of the reference, of about the size of a window.
    """

    reference: Columns
    current: Columns
    windows: NDArray[np.int64]
    chunks: NDArray[np.int64]

    @property
    def categorical(self) -> list[str]:
        """Columns of texts."""
        return [name for name, column in self.reference.items() if column.dtype == object]

    @property
    def numeric(self) -> list[str]:
        """The others."""
        return [name for name, column in self.reference.items() if column.dtype != object]


@dataclass(frozen=True)
class Answer:
    """What one of them says.

    Attributes
    ----------
    columns : dict of int to int
        By window, how many columns drifted.
    seconds : float
        Per window.
    """

    columns: Mapping[int, int]
    seconds: float

    @property
    def any_column(self) -> float:
        """In which share of the windows any column drifted."""
        return float(np.mean([count > 0 for count in self.columns.values()]))

    @property
    def mean_columns(self) -> float:
        """How many columns a window."""
        return float(np.mean(list(self.columns.values())))


def ask(
    python: Path, given: Windows, names: Sequence[str] = tuple(PEERS), evidently_every: int = 1
) -> dict[str, Answer]:
    """Hand the windows to other libraries, one process each, with their telemetry switched off.

    Parameters
    ----------
    python : Path
        The interpreter of their environment.
    given : Windows
        What to look at.
    names : sequence of str
        Keys of ``peers.PEERS``.
    evidently_every : int
        Evidently takes seconds a window; it is asked about every so many-th one.
    """
    script = Path(__file__).with_name("peers.py")
    answers = {"psi": psi_above(given)}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        _frame(given.reference, given.chunks).to_parquet(folder / "reference.parquet")
        _frame(given.current, given.windows + int(given.chunks.max()) + 1).to_parquet(folder / "windows.parquet")
        spec = {"numeric": given.numeric, "categorical": given.categorical, "evidently_every": evidently_every}
        (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        for name in names:
            done = subprocess.run(
                [python.absolute(), script, name, folder], env={**os.environ, **QUIET, "PYTHONPATH": ""}, cwd=folder,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
            found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            answers[name] = Answer({int(k): v for k, v in found["columns"].items()}, found["seconds_per_window"])
    return answers


def psi_above(given: Windows, limit: float = PSI_LIMIT) -> Answer:
    """Apply the rule of thumb "PSI > 0.2" as it is mostly written: ten quantile bins, empty ones taken for 0.0001."""
    order = np.argsort(given.windows, kind="stable")
    numbers, first = np.unique(given.windows[order], return_index=True)
    parts = np.split(order, first[1:])
    counts = dict.fromkeys(numbers.tolist(), 0)
    for name, column in given.reference.items():
        before, now = _bins(column, given.current[name])
        bins = int(max(before.max(), now.max())) + 1
        p = np.bincount(before, minlength=bins) / len(before)
        for window, part in zip(numbers.tolist(), parts, strict=True):
            q = np.bincount(now[part], minlength=bins) / len(part)
            counts[window] += int(_psi(p, q) > limit)
    return Answer(counts, 0.0)


def _psi(p: FloatArray, q: FloatArray) -> float:
    p, q = np.maximum(p, PSI_EMPTY), np.maximum(q, PSI_EMPTY)
    return float(((q - p) * np.log(q / p)).sum())


def _bins(reference: NDArray[np.generic], current: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bins of both; missing values, and categories that the reference lacks, have one of their own."""
    if reference.dtype == object:
        known = sorted(set(reference[reference != None].tolist()))  # noqa: E711 - elementwise
        places = {text: place for place, text in enumerate(known)}
        last = len(known)
        return tuple(np.array([places.get(v, last) for v in c.tolist()], dtype=np.int64) for c in (reference, current))  # type: ignore[return-value]
    before, now = reference.astype(float), current.astype(float)
    edges = np.unique(np.nanquantile(before, np.linspace(0, 1, PSI_BINS + 1)[1:-1]))
    last = len(edges) + 1
    return tuple(np.where(np.isnan(v), last, edges.searchsorted(v, side="left")) for v in (before, now))  # type: ignore[return-value]


def _frame(columns: Columns, windows: NDArray[np.int64]) -> pd.DataFrame:
    """Rows with the number of their window, and a time: as many days after the first as that number says."""
    import pandas as pd

    order = np.argsort(windows, kind="stable")
    frame: pd.DataFrame = pd.DataFrame({name: column[order] for name, column in columns.items()})
    frame[WINDOW] = windows[order]
    within = np.concatenate([np.linspace(0, 0.9, count) for count in np.unique(windows, return_counts=True)[1]])
    seconds = (windows[order] - windows.min() + within) * DAY
    frame[TIME] = pd.to_datetime(seconds, unit="s", origin="2024-01-01")
    return frame
