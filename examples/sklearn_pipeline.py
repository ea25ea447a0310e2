"""Record what a fitted scikit-learn pipeline predicts, and compare it with the data it was tested on."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelwatch import ProductionMonitoringService, ReferenceProfile

MODEL_ID = "account_health_model_v2"


def accounts(rows: int, seed: int, *, logins: float = 6.0) -> pd.DataFrame:
    """Stand for your own data."""
    rng = np.random.default_rng(seed)
    frame: pd.DataFrame = pd.DataFrame({"logins": rng.poisson(logins, rows), "plan": rng.choice(["free", "pro"], rows)})
    return frame


def train() -> tuple[Any, Path]:
    """Return the pipeline, and the reference profile that is kept beside it."""
    training, held_out = accounts(5_000, seed=1), accounts(5_000, seed=2)
    columns = make_column_transformer((StandardScaler(), ["logins"]), (OneHotEncoder(), ["plan"]))
    pipeline = make_pipeline(columns, LogisticRegression())
    pipeline.fit(training, training["logins"] + 2 * (training["plan"] == "pro") > 6)
    path = Path(tempfile.mkdtemp()) / "profile.json"
    ReferenceProfile.build(held_out, predictions=pipeline.predict_proba(held_out)[:, 1]).save(path)
    return pipeline, path


def main() -> None:
    pipeline, profile = train()
    with ProductionMonitoringService() as service:
        predict_proba = service.monitor(MODEL_ID, reference=profile)(pipeline.predict_proba)
        before = predictions(service)
        for day in range(3):
            predict_proba(accounts(1_000, seed=10 + day))  # a batch: 1 000 predictions
        predict_proba(pd.DataFrame({"logins": [4], "plan": ["pro"]}))  # one row
        service.flush()
        print(f"{predictions(service) - before} predictions of {MODEL_ID} recorded")
        for batch in (accounts(1_000, seed=20), accounts(1_000, seed=21, logins=2.0)):
            print(service.monitor_model_drift(MODEL_ID, batch, predict_proba(batch)[:, 1])["summary"])


def predictions(service: ProductionMonitoringService) -> int:
    return sum(int(model["predictions"]) for model in service.get_service_status()["models"])


if __name__ == "__main__":
    main()
