"""The profiles of one store, each read once until it changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modelwatch.exceptions import ModelwatchError
from modelwatch.profile import ReferenceProfile

if TYPE_CHECKING:
    from modelwatch.service.models import ModelBook
    from modelwatch.store import StoreWriter

__all__ = ["StoredProfiles"]

logger = logging.getLogger("modelwatch")


class StoredProfiles:
    """Reads the profiles of a store."""

    def __init__(self, store: StoreWriter, book: ModelBook) -> None:
        self._store = store
        self._book = book
        self._read: dict[str, ReferenceProfile] = {}
        self._revisions: dict[str, int] = {}

    def get(self, profile_id: str) -> ReferenceProfile | None:
        """Return the profile whose id stands with the counts, so that counts and profile can't disagree."""
        if profile_id not in self._read:
            text = self._store.load_profile(profile_id) or self._put_back(profile_id)
            if text is None:
                return None
            try:
                self._read[profile_id] = ReferenceProfile.from_json(text)
            except ModelwatchError as error:
                logger.warning("profile %s in the store can't be used: %s", profile_id[:8], error)
                return None
        return self._read[profile_id]

    def _put_back(self, profile_id: str) -> str | None:
        """Save again a profile that a model of this process has and the store has lost; return it as JSON."""
        held = self._book.profile(profile_id)
        if held is None:
            return None
        text = held.to_json()
        self._store.save_profile(profile_id, text)
        return text

    def refresh(self) -> None:
        """Read again what has grown."""
        for reference in self._store.references().values():
            if self._revisions.get(reference.profile_id, reference.revision) != reference.revision:
                self._read.pop(reference.profile_id, None)
            self._revisions[reference.profile_id] = reference.revision
