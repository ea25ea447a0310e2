"""The call of the public API that cleans up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modelwatch.exceptions import StorageError
from modelwatch.service.answers import Result, answers
from modelwatch.service.cleanup import cleanup_answer

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts


class UpkeepCalls:
    """Keeping the storage small; part of ``ProductionMonitoringService``."""

    _parts: Parts
    _clock: Callable[[], float]

    @answers
    def cleanup_old_data(self) -> Result:
        """
        Remove what is older than its model's ``retention_days`` now, and what is above ``storage.max_size``.

        Whoever runs the scheduled checks does this once an hour, so nobody has to call it. It works in short
        transactions, between which others can write, and gives the space back to the file system. After a long time
        without it, it may take minutes: call it from a thread where there is an event loop.

        Counts stay for as long as the model's longest drift window needs them (8 days at least), even where
        ``retention_days`` is shorter; so do, for 16 days at most, rows that are kept only until a reference is learnt
        from them (``log_predictions: false``). What is done once an hour by itself does not believe a clock that has
        leapt days ahead of the last cleanup until it has kept to that for a day; a call does.

        Returns
        -------
        dict
            status; removed: ``{model_id: {kind: {"rows", "bytes"}}}`` with what was too old, only where there was
            anything; evicted: the same for what had to go because the storage was too large, oldest first;
            profiles_removed: ids of reference profiles that nothing refers to any more; size_bytes and
            max_size_bytes; warnings, if what has to stay is larger than the cap, which then holds for all else. Alerts
            that are about no registered model (``""`` where they name none) are kept as long as those of the model with
            the longest retention.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     answer = service.cleanup_old_data()
        >>> answer["status"], answer["removed"], answer["evicted"]
        ('success', {}, {})
        """
        if self._parts.cleanup is None:
            msg = f"nothing is stored: {self._parts.storage_problem}"
            raise StorageError(msg)
        return cleanup_answer(self._parts.cleanup.run(self._clock(), asked_for=True))
