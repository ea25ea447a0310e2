"""The decorator of one service, which is also its ``with`` block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelwatch.decorator import ModelMonitor, Pick, check_reference_path

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts


class MonitorCall:
    """Recording what a predict function does; part of ``ProductionMonitoringService``."""

    _parts: Parts

    def monitor(
        self,
        model_id: str,
        *,
        features: Pick = None,
        prediction: Pick = None,
        prediction_id: Pick = None,
        metadata: Pick = None,
        timestamp: Pick = None,
        segment: Pick = None,
        version: str | None = None,
        reference: str | Path | None = None,
        ignore_errors: tuple[type[BaseException], ...] = (),
        batch: bool | None = None,
    ) -> ModelMonitor:
        """
        Return a decorator, and context manager, that records predictions; see :func:`modelwatch.monitor`.

        A model that is not registered yet is registered with latency, errors, traffic and drift watched.

        Parameters
        ----------
        model_id
            Names the model in metrics and alerts.
        features, prediction_id, metadata, timestamp, segment
            The name of an argument, or a callable that gets the call's arguments. By default the features are the only
            argument, or all arguments by name if there are several, but for those named for something else. Of a batch,
            each but the features may be one value for all rows, or a column.
        prediction
            A key or attribute of the result, or a callable that gets the result; by default the result itself, of a
            dict, dataclass or pydantic model its ``prediction``, ``score``, ``probability``, ``label`` or only number.
        version
            The model version that this process serves; default: the one that is registered.
        reference
            Path of a reference profile; default: what the configuration says, else one that is learnt.
        ignore_errors
            Exceptions that are an answer rather than a failure.
        batch
            Whether a call is about many rows; by default that is told by types and lengths.

        Returns
        -------
        ModelMonitor
            The decorator. The decorated function behaves as before: same result, same exceptions, same signature. In
            a ``with`` statement, what records one prediction; keep it rather than make it at each prediction.

        Raises
        ------
        InputError
            If the model_id is not usable, or, at decoration, an argument name does not exist or the function is a
            generator; or on entering a ``with`` block, if names of arguments are given.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     @service.monitor("ad_score", metadata=lambda bid, user_id: {"user_id": user_id}, features="bid")
        ...     def predict(bid: dict, user_id: str) -> float:
        ...         return 0.1 * bid["amount"]
        ...     predict({"amount": 2.0}, "u17"), service.get_service_status()["models"][0]["model_id"]
        ...     scoring = service.monitor("ad_score")
        ...     with scoring as call:
        ...         call.features, call.prediction = {"amount": 3.0}, 0.3
        (0.2, 'ad_score')
        """
        check_reference_path(reference)
        caller = self._parts.registrar.caller(model_id, version, reference)
        picks = {
            "features": features,
            "prediction": prediction,
            "prediction_id": prediction_id,
            "metadata": metadata,
            "timestamp": timestamp,
            "segment": segment,
        }
        return ModelMonitor(lambda: caller, picks, ignore_errors, batch)
