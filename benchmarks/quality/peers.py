"""What other libraries say about the same windows, each with its own defaults, in an environment of its own.

Run as ``python peers.py NAME FOLDER``: it reads ``reference.parquet``, ``windows.parquet`` and ``spec.json`` of the
folder and writes ``NAME.json``. Needs nothing of modelwatch. Start it with :data:`QUIET` in its environment.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

WINDOW, TIME = "@window", "@time"
"""Columns beside the features: the number of the window, and a time of which each window has a day of its own."""
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
"""Environment variables that switch telemetry off."""
Answers = dict[int, int]
"""By window, how many columns drifted."""


def evidently(reference: pd.DataFrame, windows: pd.DataFrame, spec: Mapping[str, Any]) -> Answers:
    """Its preset for data drift: a method and a limit of 0.1, or p < 0.05, by kind and number of rows.

    It takes seconds a window, so it is asked about some of them only.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=spec["numeric"], categorical_columns=spec["categorical"])
    names = [*spec["numeric"], *spec["categorical"]]
    before = Dataset.from_pandas(reference[names], data_definition=definition)
    answers = {}
    for window, frame in islice(_each(windows), 0, None, spec["evidently_every"]):
        now = Dataset.from_pandas(frame[names], data_definition=definition)
        found = Report([DataDriftPreset()]).run(now, before).dict()
        answers[window] = int(found["metrics"][0]["value"]["count"])
    return answers


def nannyml(reference: pd.DataFrame, windows: pd.DataFrame, spec: Mapping[str, Any]) -> Answers:
    """Its univariate calculator: Jensen–Shannon, limits at mean + 3 sd of the chunks of the reference."""
    import nannyml as nml

    names = [*spec["numeric"], *spec["categorical"]]
    calculator = nml.UnivariateDriftCalculator(
        column_names=names, treat_as_categorical=spec["categorical"], timestamp_column_name=TIME, chunk_period="D"
    )
    calculator.fit(reference.drop(columns=WINDOW))
    found = calculator.calculate(windows.drop(columns=WINDOW)).filter(period="analysis").to_df(multilevel=False)
    alerts = found[[column for column in found.columns if column.endswith("_alert")]]
    counts = alerts.astype(bool).sum(axis=1).tolist()
    order = [window for window, _ in _each(windows)]
    if len(counts) != len(order):
        raise SystemExit(f"nannyml made {len(counts)} chunks of {len(order)} windows")
    return {window: int(count) for window, count in zip(order, counts, strict=True)}


def alibi(reference: pd.DataFrame, windows: pd.DataFrame, spec: Mapping[str, Any]) -> Answers:
    """TabularDrift of alibi-detect: Kolmogorov–Smirnov and chi-square at 0.05, Bonferroni over columns.

    It takes no missing values: they are given as the reference's median, or as a category of their own.
    """
    from alibi_detect.cd import TabularDrift

    names = [*spec["numeric"], *spec["categorical"]]
    places = {i: None for i, name in enumerate(names) if name in spec["categorical"]}
    codes = _Codes(reference, windows, spec)
    detector = TabularDrift(codes(reference[names]), p_val=0.05, categories_per_feature=places or None)
    answers = {}
    for window, frame in _each(windows):
        data = detector.predict(codes(frame[names]), drift_type="batch")["data"]
        answers[window] = int((data["p_val"] < data["threshold"]).sum())
    return answers


class _Codes:
    """Numbers for everything, without gaps."""

    def __init__(self, reference: pd.DataFrame, windows: pd.DataFrame, spec: Mapping[str, Any]) -> None:
        self.medians = reference[spec["numeric"]].median()
        self.codes = {}
        for name in spec["categorical"]:
            texts = sorted({*map(str, reference[name]), *map(str, windows[name])})
            self.codes[name] = {text: code for code, text in enumerate(texts)}

    def __call__(self, frame: pd.DataFrame) -> Any:  # noqa: ANN401
        out = frame.copy()
        for name, codes in self.codes.items():
            out[name] = out[name].map(str).map(codes)
        return out.fillna(self.medians).to_numpy(dtype="float32")


def _each(windows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    for window, frame in windows.groupby(WINDOW, sort=True):
        yield int(str(window)), frame


PEERS: Mapping[str, Callable[..., Answers]] = {"evidently": evidently, "nannyml": nannyml, "alibi": alibi}


def main(name: str, folder: Path) -> None:
    """Answer for all windows of a folder."""
    import pandas as pd

    warnings.simplefilter("ignore")
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    reference, windows = pd.read_parquet(folder / "reference.parquet"), pd.read_parquet(folder / "windows.parquet")
    began = time.perf_counter()
    answers = PEERS[name](reference, windows, spec)
    seconds = (time.perf_counter() - began) / max(len(answers), 1)
    found = {"columns": {str(k): v for k, v in answers.items()}, "seconds_per_window": seconds}
    (folder / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
