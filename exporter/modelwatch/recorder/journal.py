"""Says each kind of trouble once, and once more when it has passed: a recorder must not fill anybody's log."""

from __future__ import annotations

import logging

logger = logging.getLogger("modelwatch")


class Journal:
    """Remembers which kinds of trouble were said."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def trouble(self, kind: str, text: str) -> None:
        """Log a warning, unless this kind of trouble was said and has not passed since."""
        if kind not in self._said:
            self._said.add(kind)
            logger.warning("modelwatch: %s", text)

    def passed(self, kind: str, text: str) -> None:
        """Log that a kind of trouble has passed, if it was said."""
        if kind in self._said:
            self._said.discard(kind)
            logger.info("modelwatch: %s", text)
