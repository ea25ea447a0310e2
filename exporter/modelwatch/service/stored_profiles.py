"""The profiles of one store, each read once until it changes, with what production has taught of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modelwatch.exceptions import ModelwatchError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.learnt import WHOLE, Learnt, segment_taught, taught
from modelwatch.service.calibrating import read_learnt

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
        self._taught: dict[tuple[str, str], _Taught] = {}

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

    def taught(self, profile_id: str, model_id: str) -> ReferenceProfile | None:
        """Return a profile with what this model's production has taught of it, if its own rows had no times."""
        profile = self.get(profile_id)
        if profile is None or profile.calibrated:
            return profile
        return self._learnt(profile, model_id).get(WHOLE, profile)

    def segments(self, profile_id: str, model_id: str) -> dict[str, ReferenceProfile]:
        """Return by segment what it is compared with; of one that is not learnt yet, it is not calibrated."""
        profile = self.get(profile_id)
        known = {} if profile is None else self._learnt(profile, model_id)
        return {name: found for name, found in known.items() if name != WHOLE}

    def _learnt(self, profile: ReferenceProfile, model_id: str) -> dict[str, ReferenceProfile]:
        key = (profile.id, model_id)
        mark = self._store.learnt_mark(*key)
        known = self._taught.get(key)
        if known is None or known.profile is not profile or known.mark != mark:
            parts = read_learnt(self._store, profile, model_id) if mark is not None else None
            same = known is not None and known.profile is profile and parts is not None
            kept = {n: p for n, p in known.parts.items() if p.calibrated} if known is not None and same else {}
            known = self._taught[key] = _Taught(profile, mark, kept | _of_parts(profile, parts, kept))
        return known.parts

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


class _Taught:
    """What one model has taught of one profile, as it was read."""

    def __init__(
        self, profile: ReferenceProfile, mark: tuple[int, int] | None, parts: dict[str, ReferenceProfile]
    ) -> None:
        self.profile = profile
        self.mark = mark
        self.parts = parts


def _of_parts(
    profile: ReferenceProfile, learnt: Learnt | None, known: dict[str, ReferenceProfile]
) -> dict[str, ReferenceProfile]:
    """Return by part the profile that it is compared with; what is learnt never changes, and so is left as it is."""
    out = {}
    for name, part in ({} if learnt is None else learnt.parts).items():
        if name in known or (name == WHOLE and not part.done):
            continue
        found = taught(profile, part.hours) if name == WHOLE else segment_taught(profile, part.hours, done=part.done)
        if found is not None:
            out[name] = found
    return out
