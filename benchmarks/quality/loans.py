"""The car loans that nannyml brings along: ten synthetic months of reference, ten with a shift at a known time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import FloatArray
from quality.worlds import HOUR, Stream

__all__ = ["FEATURES", "Loans", "find_loans", "load_loans", "loan_profile", "loan_stream"]

CATEGORIES = ("salary_range", "repaid_loan_on_prev_car", "size_of_downpayment")
NUMBERS = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
FEATURES = (*NUMBERS, *CATEGORIES)


@dataclass(frozen=True)
class Loans:
    """Rows in order of time: columns, and seconds since the epoch."""

    data: dict[str, NDArray[np.generic]]
    seconds: FloatArray


def find_loans(python: Path) -> Path | None:
    """Return the folder of nannyml's data in the environment that an interpreter belongs to; None if it has none."""
    found = sorted(python.absolute().parent.parent.glob("lib/python*/site-packages/nannyml/datasets/data"))
    return found[0] if found else None


def load_loans(folder: Path) -> tuple[Loans, Loans]:
    """Return what serves as the reference, and what follows: no change in its first half, one in its second."""
    return _read(folder / "synthetic_car_loan_reference.csv"), _read(folder / "synthetic_car_loan_analysis.csv")


def loan_profile(loans: Loans) -> ReferenceProfile:
    """Build the profile as a user builds it."""
    return ReferenceProfile.build(loans.data, timestamps=loans.seconds, timezone="UTC")


def loan_stream(profile: ReferenceProfile, loans: Loans) -> Stream:
    """Count the rows by hour, from the first midnight on."""
    first = float(np.ceil(loans.seconds[0] / (24 * HOUR)) * 24 * HOUR)
    groups = np.floor((loans.seconds - first) / HOUR).astype(np.int64)
    kept = groups >= 0
    hours = int(groups[-1]) + 1
    columns = {name: column[kept] for name, column in loans.data.items()}
    parts = CellAssigner(profile.layout).bin_groups(columns, groups[kept], hours)
    starts = first + HOUR * np.arange(hours, dtype=np.float64)
    return Stream(starts, np.array([float(p.rows) for p in parts]), np.stack([p.cells for p in parts]).astype(float))


def _read(path: Path) -> Loans:
    import pandas as pd

    frame = pd.read_csv(path, usecols=[*FEATURES, "timestamp"]).sort_values("timestamp", kind="stable")
    data: dict[str, NDArray[np.generic]] = {name: frame[name].to_numpy(dtype=np.float64) for name in NUMBERS}
    for name in CATEGORIES:
        texts = frame[name].astype(object).tolist()
        data[name] = np.array([None if text != text else str(text) for text in texts], dtype=object)
    seconds = pd.to_datetime(frame["timestamp"]).to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return Loans(data, seconds)
