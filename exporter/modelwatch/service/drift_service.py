"""DriftMonitoringService: asks of a batch whether it drifted; records nothing and runs nothing in the background."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.config import DriftMonitoringConfig, MonitoringConfig, default_storage_path, load_config, named_config
from modelwatch.exceptions import InputError, ModelwatchError
from modelwatch.service import given
from modelwatch.service.answers import Result, answers
from modelwatch.service.batch_check import TARGETS_WARNING, batch_result, report_of
from modelwatch.service.drift_models import DriftModels
from modelwatch.service.parts import open_store
from modelwatch.service.references import build_given
from modelwatch.service.times import iso

if TYPE_CHECKING:
    from types import TracebackType


class DriftMonitoringService:
    """
    Compares batches with the reference of their model, when asked to.

    Alone it keeps in its storage what it was told. On the storage of a `ProductionMonitoringService` it knows the
    models, configurations and references that are registered there, without registering anything again.

    Parameters
    ----------
    storage_path
        Folder of the embedded store. Default: ``$MODELWATCH_STORAGE``, else ``/var/lib/modelwatch`` if writable, else
        ``~/.local/state/modelwatch``.
    config_path
        A JSON or YAML file with ``models: [...]``; it goes over what is registered. Default: ``$MODELWATCH_CONFIG``.
    clock
        Seconds since 1970; tests pass their own.

    Raises
    ------
    ConfigError
        If the configuration file is wrong; the message says where.
    InputError
        If an argument is of no use.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> with DriftMonitoringService(storage_path=tempfile.mkdtemp()) as service:
    ...     _ = service.register_model({"model_id": "ad_score"})
    ...     _ = service.set_reference("ad_score", {"bid": rng.gamma(2.0, 1.0, 5000)})
    ...     result = service.detect_drift("ad_score", {"bid": 3 * rng.gamma(2.0, 1.0, 500)})
    ...     result["drift_detected"], result["drift_types"], result["top_features"]
    (True, ['data'], ['bid'])
    """

    def __init__(
        self,
        storage_path: str | Path | None = None,
        config_path: str | Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given.check_path(storage_path, "storage_path")
        given.check_path(config_path, "config_path")
        given.check_callable(clock, "clock")
        path = named_config() if config_path is None else config_path
        config = load_config(path) if path is not None else MonitoringConfig()
        self._clock = clock
        folder = str(storage_path) if storage_path is not None else None
        self.storage = default_storage_path(folder, config).resolve()
        self._store, problem = open_store(self.storage)
        self._problem = [f"only this process knows what it was told: {problem}"] if problem else []
        self._timezone = config.timezone
        self._models = DriftModels(config, self._store)
        self.closed = False

    @answers
    def register_model(self, config: DriftMonitoringConfig | Mapping[str, Any]) -> Result:
        """
        Register a model, or change how its drift is looked for; registering again loses nothing.

        Parameters
        ----------
        config
            A :class:`DriftMonitoringConfig`, or a dict of its fields; `model_id` is required. Of a model that a
            `ProductionMonitoringService` registered on the same storage all else stays as it is.

        Returns
        -------
        dict
            status, model_id, registered_at (ISO-8601 UTC), config (a dict); warnings if there are any; status and error
            if the configuration is wrong.
        """
        drift = config if isinstance(config, DriftMonitoringConfig) else DriftMonitoringConfig.model_validate(config)
        now = self._clock()
        self._models.refresh(now)
        model = self._models.register(drift, now)
        told = model.config.drift.model_copy(update={"model_id": model.config.model_id})
        answer = {
            "status": "success",
            "model_id": model.config.model_id,
            "registered_at": iso(model.registered_at),
            "config": told.model_dump(mode="json", exclude={"defaulted"}),
        }
        return self._with([*model.warnings], answer)

    @answers
    def set_reference(
        self,
        model_id: str,
        profile_or_dataframe: Any,  # noqa: ANN401 - a profile, a path or any table
        *,
        predictions: Any = None,  # noqa: ANN401 - a column
        timestamps: Any = None,  # noqa: ANN401 - a column
    ) -> Result:
        """
        Compare a model with this from now on.

        Parameters
        ----------
        model_id
            A registered model.
        profile_or_dataframe
            A :class:`ReferenceProfile`, the path of one, or data of a time when all was well, of which one is built:
            DataFrame, dict of columns, list of dicts or 2-D array of shape (rows, features).
        predictions, timestamps
            Of data: what the model returned, and when, each of shape (rows,).

        Returns
        -------
        dict
            status, model_id, reference (the profile's id), rows, verdict, features (names); warnings if there are any;
            status and error if no profile can be read or built.
        """
        now = self._clock()
        self._models.refresh(now)
        config = self._models.get(model_id).config
        options = {"predictions": predictions, "timestamps": timestamps, "timezone": self._timezone}
        profile = build_given(config, profile_or_dataframe, options)
        self._models.set_reference(config, profile, now)
        answer = {
            "status": "success",
            "model_id": config.model_id,
            "reference": profile.id,
            "rows": int(profile.rows),
            "verdict": profile.verdict,
            "features": list(profile.feature_names),
        }
        return self._with([*profile.warnings], answer)

    @answers
    def detect_drift(
        self,
        model_id: str,
        current_data: Any,  # noqa: ANN401 - DataFrame, array, dict of columns, list of dicts
        current_predictions: Any = None,  # noqa: ANN401 - a column
        current_targets: Any = None,  # noqa: ANN401 - a column
    ) -> Result:
        """
        Compare a batch with the model's reference.

        Parameters
        ----------
        model_id
            A model that is registered on this storage, here or by a `ProductionMonitoringService`.
        current_data
            DataFrame, dict of columns, list of dicts or 2-D array of shape (rows, features). None looks at the
            predictions alone; without those too, the result of the model's last scheduled check is looked up.
        current_predictions
            The predictions of the batch, shape (rows,), or the scores of its classes, (rows, classes).
        current_targets
            Its ground truth; concept drift is not scored in this release, which a warning says.

        Returns
        -------
        dict
            As of ``ProductionMonitoringService.monitor_model_drift``: status, model_id, drift_detected, drift_types,
            severity, summary, details, top_features, performance; warnings if there are any. Without a reference
            nothing drifted, the state of each kind is "no_reference" or "learning", and the summary says how to get
            one. Status and error if the batch can't be read, is empty, or has none of the reference's columns.
        """
        now = self._clock()
        self._models.refresh(now)
        config = self._models.get(model_id).config
        warnings = [TARGETS_WARNING] if current_targets is not None else []
        if current_data is None and current_predictions is None:
            return self._looked_up(config.model_id, warnings)
        profile, absence = self._models.reference(config, now)
        result, told = batch_result(config, profile, current_data, current_predictions, now, absence)
        return self._with([], report_of(config.model_id, result, [*warnings, *told]))

    def _looked_up(self, model_id: str, warnings: list[str]) -> Result:
        """Return the result of the last scheduled check of what was recorded."""
        latest = self._models.latest_check(model_id)
        if latest is None:
            msg = "nothing to score: pass current_data, current_predictions or both; no scheduled check has run yet"
            raise InputError(msg)
        result, checked_at = latest
        told = f"nothing was passed: this is the result of the scheduled check of {iso(checked_at)}"
        return self._with([], report_of(model_id, result, [told, *warnings]))

    def _with(self, warnings: list[str], answer: Result) -> Result:
        told = [*self._problem, *warnings, *answer.get("warnings", ())]
        return {**answer, "warnings": told} if told else answer

    def close(self) -> None:
        """
        Let go of the store; idempotent. What is called later answers with an error.

        Examples
        --------
        >>> import tempfile
        >>> service = DriftMonitoringService(storage_path=tempfile.mkdtemp())
        >>> service.close()
        >>> service.detect_drift("ad_score", {"bid": [1.5]})["status"]
        'error'
        """
        self.closed = True
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> DriftMonitoringService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ModelwatchError):
            self.close()
