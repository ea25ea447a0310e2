from typing import Any

import numpy as np

from modelwatch.records import FloatArray

def read(
    rows: tuple[Any, ...], names: tuple[str, ...], numbers: bytes, matrix: FloatArray, float64: type[np.float64], /
) -> list[list[Any] | bool] | None: ...
