"""The flights, read and split once, and the model trained on them."""

import pytest

from modelwatch.demo.delay_model import DelayModel, train_model
from modelwatch.demo.flights import Flights, Split, find_data, load_flights, split_flights


@pytest.fixture(scope="session")
def flights() -> Flights:
    return load_flights(find_data())


@pytest.fixture(scope="session")
def split(flights: Flights) -> Split:
    return split_flights(flights)


@pytest.fixture(scope="session")
def delay_model(split: Split) -> DelayModel:
    return train_model(split.train)
