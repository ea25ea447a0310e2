"""What the models of one process are compared with by the store: given by a call, or learnt from production.

A model's configuration names a profile, or says ``auto``; the store knows what was given or learnt since. The store's
reference holds for as long as the configuration says what it said then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import InputError, ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.service.learning import AUTO, Progress, follows, reference_words
from modelwatch.store.references import GIVEN

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.service.models import ModelBook, RegisteredModel
    from modelwatch.store import StoredReference, StoreWriter

__all__ = ["References", "build_given"]

logger = logging.getLogger("modelwatch")

NOTHING_STORED = "none: nothing is stored, so that none can be learnt"

Take = Callable[["RegisteredModel"], None]


class References:
    """
    Follows the references of a storage.

    Parameters
    ----------
    store
        Where they are; None where nothing can be stored.
    book
        The models.
    take
        Told of each model whose cells have changed.
    clock
        Seconds since the epoch.
    """

    def __init__(self, store: StoreWriter | None, book: ModelBook, take: Take, clock: Callable[[], float]) -> None:
        self._store = store
        self._book = book
        self._take = take
        self._clock = clock
        self._known: dict[str, StoredReference] = {}
        self._complained: set[str] = set()

    # ── following ────────────────────────────────────────────────────────────────────────────────────────────────

    def follow(self) -> None:
        """
        Compare every model with what the store says; a step of the :class:`~modelwatch.service.follow.Follower`.

        Raises
        ------
        StorageError
            If the store can't be read.
        """
        if self._store is None:
            return
        self._known = self._store.references()
        for model in self._book.all():
            reference = self._known.get(model.config.model_id)
            if reference is not None and follows(reference, model.config.reference):
                self._follow_one(self._store, model, reference)

    def _follow_one(self, store: StoreWriter, model: RegisteredModel, reference: StoredReference) -> None:
        mark = (reference.profile_id, reference.revision)
        if model.followed == mark:
            return
        text = store.load_profile(reference.profile_id)
        try:
            if text is None:
                msg = f"profile {reference.profile_id[:8]} is not in the storage"
                raise ProfileError(msg)
            profile = ReferenceProfile.from_json(text)
        except ProfileError as error:
            self._complain(f"{model.config.model_id} can't follow its reference: {error}")
            return
        fresh = self._book.follow(model, profile, mark)
        if fresh is not None and (model.profile is None or model.profile.id != profile.id):
            self._take(fresh)

    def _complain(self, text: str) -> None:
        if text not in self._complained:
            self._complained.add(text)
            logger.warning("modelwatch: %s", text)

    # ── giving ───────────────────────────────────────────────────────────────────────────────────────────────────

    def give(self, model_id: str, profile: ReferenceProfile) -> list[str]:
        """
        Compare all versions of a registered model with a profile from now on, here and in every process of the storage.

        Returns
        -------
        list of str
            What has to be said about it.

        Raises
        ------
        StorageError
            If it can't be stored; nothing has changed then.
        """
        written = self._book.get(model_id).config.reference
        if self._store is not None:
            self._store.save_profile(profile.id, profile.to_json())
            self._store.save_reference(model_id, profile.id, origin=GIVEN, written=written, set_at=self._clock())
            self._store.drop_learning_rows(model_id)
            self.follow()
            return []
        for model in self._book.all():
            if model.config.model_id == model_id:
                fresh = self._book.follow(model, profile, None)
                if fresh is not None:
                    self._take(fresh)
        return ["nothing is stored here: other processes, and this one after a restart, don't know this reference"]

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────

    def words(self, model: RegisteredModel, progress: Progress | None = None) -> str:
        """
        Return what a model is compared with, in words, without asking the store.

        Parameters
        ----------
        model
            The model.
        progress
            How far learning has come, where it is known.
        """
        reference = self._known.get(model.config.model_id)
        if reference is not None and follows(reference, model.config.reference) and model.followed is not None:
            return reference_words(reference, self._clock())
        if model.profile is not None:
            return f"profile {model.profile.id[:8]}"
        if model.config.reference != AUTO:
            return f"not loaded: {model.config.reference}"
        if self._store is None:
            return NOTHING_STORED
        return "learning" if progress is None else progress.words


def build_given(config: ModelMonitoringConfig, given: Any, options: Mapping[str, Any]) -> ReferenceProfile:  # noqa: ANN401
    """
    Return the profile that somebody gave: as it is, from its file, or built from data.

    Parameters
    ----------
    config
        The model, whose bins, categories, exclusions and decision threshold data are read with.
    given
        A ReferenceProfile, the path of one, or a table of reference data.
    options
        ``predictions``, ``timestamps``, ``timezone`` for data; those that are None were not given.

    Raises
    ------
    InputError
        If options of data come with a profile.
    ProfileError
        If the profile can't be read, or none can be built from the data.
    """
    passed = {name: value for name, value in options.items() if value is not None}
    if isinstance(given, (ReferenceProfile, str)) or hasattr(given, "__fspath__"):
        if passed.keys() - {"timezone"}:
            msg = f"{', '.join(sorted(passed.keys() - {'timezone'}))} go with data; a profile holds its own"
            raise InputError(msg)
        return given if isinstance(given, ReferenceProfile) else ReferenceProfile.load(given)
    from modelwatch.profile.tables import TABLES, read_table

    allowed = f"a ReferenceProfile, the path of one, or data: {TABLES}"
    names = read_table(given, what="profile_or_dataframe", allowed=allowed).columns
    return ReferenceProfile.build(
        given,
        decision_threshold=config.decision_threshold,
        bins=config.drift.bins,
        categorical=[name for name in config.features.categorical if name in names],
        exclude=[name for name in config.features.exclude if name in names],
        model_id=config.model_id,
        model_version=config.model_version,
        task=config.task,
        **passed,
    )
