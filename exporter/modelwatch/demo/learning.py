"""Before the first flight: read the data, train the model, build the reference profile."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from modelwatch.demo.delay_model import DelayModel, train_model
from modelwatch.demo.flights import Split, find_data, load_flights, split_flights
from modelwatch.profile import ReferenceProfile

__all__ = ["Learnt", "Listener", "learn"]


class Listener(Protocol):
    """Who is told what was done."""

    def flights_read(self, count: int) -> None:
        """Hear how many flights were read."""

    def model_trained(self, flights: int, accuracy: float) -> None:
        """Hear how many flights the model learnt from, and about which share of others it is right."""

    def profile_built(self, flights: int, path: str) -> None:
        """Hear where the reference profile of how many flights lies."""


class Learnt(NamedTuple):
    """A trained model, and the flights that are left to serve."""

    model: DelayModel
    split: Split


def learn(cache: Path, profile: Path, listener: Listener, *, shown_as: str, seed: int | None = None) -> Learnt:
    """
    Train the delay model and save its reference profile.

    Parameters
    ----------
    cache
        Where the flights are kept between runs (``.npz``).
    profile
        Where the profile is written.
    listener
        Who is told.
    shown_as
        The profile's path as people know it.
    seed
        Draws other flights, in another order; None for always the same.
    """
    flights = load_flights(find_data(), cache)
    listener.flights_read(len(flights))
    split = split_flights(flights) if seed is None else split_flights(flights, seed)
    model = train_model(split.train)
    scores = model.predict_many(split.reference.columns)
    accuracy = float(np.mean((scores > 0.5) == split.reference.late))
    listener.model_trained(len(split.train), accuracy)
    ReferenceProfile.build(split.reference.columns, predictions=scores, task="binary").save(profile)
    listener.profile_built(len(split.reference), shown_as)
    return Learnt(model, split)
