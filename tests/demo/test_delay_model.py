"""The model that the demo watches."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modelwatch.demo.delay_model import DelayModel
from modelwatch.demo.flights import Split
from modelwatch.demo.stream import FlightStream


def test_one_flight_and_many_flights_get_the_same_score(delay_model: DelayModel, split: Split) -> None:
    stream = FlightStream(split.stream)
    one_by_one = [delay_model.predict(next(stream).features) for _ in range(500)]
    first = split.stream.take(np.arange(500))
    assert one_by_one == pytest.approx(delay_model.predict_many(first.columns).tolist(), abs=1e-12)


def test_it_is_a_useful_model_on_flights_it_has_not_seen(delay_model: DelayModel, split: Split) -> None:
    scores = delay_model.predict_many(split.stream.columns)
    assert roc_auc_score(split.stream.late, scores) > 0.88
    assert float(np.mean((scores > 0.5) == split.stream.late)) > 0.88
    assert float(scores.mean()) == pytest.approx(float(split.stream.late.mean()), abs=0.02)


def test_an_unknown_carrier_or_airport_gets_a_score_too(delay_model: DelayModel, split: Split) -> None:
    features = next(FlightStream(split.stream)).features
    assert 0.0 < delay_model.predict({**features, "carrier": "UAL", "origin": "XXX"}) < 1.0
    assert 0.0 < delay_model.predict({**features, "distance": features["distance"] * 1.609344}) < 1.0
