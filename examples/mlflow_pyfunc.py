"""Record what an MLflow pyfunc model predicts, wherever it is served: the decorator travels with the model.

The class is an `mlflow.pyfunc.PythonModel` where MLflow is installed, and has the same methods where it is not.
"""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from modelwatch import monitor

HAS_MLFLOW = importlib.util.find_spec("mlflow") is not None
if HAS_MLFLOW:
    from mlflow.pyfunc import PythonModel
else:
    PythonModel = object


class AdScore(PythonModel):  # type: ignore[misc] # MLflow's class, or any
    def load_context(self, context: Any) -> None:
        self.weight = 0.3  # your own: read it from context.artifacts

    @monitor("ad_score_model_v1", features="model_input")
    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.Series:
        return 0.02 + self.weight * model_input["bid"] / (1 + model_input["position"])


def loaded() -> Any:
    """Return the model as a model server loads it."""
    if not HAS_MLFLOW:
        model = AdScore()
        model.load_context(None)
        return lambda rows: model.predict(None, rows)
    import mlflow

    folder = Path(tempfile.mkdtemp()) / "model"
    mlflow.pyfunc.save_model(folder, python_model=AdScore())
    return mlflow.pyfunc.load_model(str(folder)).predict


def main() -> None:
    predict = loaded()
    rows = pd.DataFrame({"bid": [0.4, 0.8, 1.0], "position": [2, 1, 0]})
    print([round(score, 3) for score in predict(rows)])
    print(f"recorded: {monitor.flush()}, the last is {monitor.last_prediction_id()}")


if __name__ == "__main__":
    main()
