"""The calls of the public API that are made where predictions are made: they never raise and never block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelwatch.recorder.segments import with_segment
from modelwatch.service import actions
from modelwatch.service.answers import Result, answers
from modelwatch.service.given import wait_seconds

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts


class RecordingCalls:
    """Recording predictions, ground truth and metric values; part of ``ProductionMonitoringService``."""

    _parts: Parts
    _clock: Callable[[], float]
    _record: Callable[..., Result]

    def record_prediction(
        self,
        model_id: str,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        actual: Any = None,  # noqa: ANN401
        metadata: dict[str, Any] | None = None,
        latency_ms: float | None = None,
        *,
        prediction_id: str | None = None,
        timestamp: float | datetime | str | None = None,
        segment: str | None = None,
        model_version: str | None = None,
        error: Any = None,  # noqa: ANN401
        copy: bool = True,
    ) -> Result:
        """
        Record one prediction; costs about a microsecond and never raises.

        Parameters
        ----------
        model_id
            A registered model.
        prediction
            What the model answered: a score, a number or a label; of two probabilities the second is taken, of more
            the place of the largest, of a dict of three or more classes the most probable one, and beside it its score.
        features
            The inputs: a dict by name, a sequence or 1-D array in the profile's order, a pandas Series or one-row
            DataFrame, a dataclass, a named tuple or a pydantic model.
        actual
            Ground truth, if already known; otherwise :meth:`record_actual` later.
        metadata
            Stored with the row (restricted by ``metadata_keys``).
        latency_ms
            How long the prediction took, in milliseconds. Always counted, sampled or not.
        prediction_id
            Your id, to join ground truth with; without one it is made of a prefix of the process and a counter.
        timestamp
            When it happened: seconds (or milliseconds) since 1970, a datetime (naive is local time) or ISO-8601 text;
            default now.
        segment
            The part of the traffic that it belongs to: it is counted by it, and stored as "segment" in its metadata.
            Goes over the model's `segments`. Beyond 20 of a model, further ones are counted as "__other__".
        model_version
            Overrides the registered version.
        error
            Anything but None or False: the attempt failed; it is counted, and features are not looked at.
        copy
            False if you promise not to change `features` afterwards; saves half the cost.

        Returns
        -------
        dict
            status, model_id, prediction_id, sampled (decided by a hash of the id, so that every process agrees);
            warnings if there are any; on an unknown or retired model, or after close: status and error.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> service = ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False)
        >>> _ = service.register_model({"model_id": "ad_score"})
        >>> answer = service.record_prediction("ad_score", 0.7, {"bid": 1.5}, latency_ms=3.2, prediction_id="r-17")
        >>> answer["prediction_id"], answer["sampled"], service.record_actual("ad_score", "r-17", 1)["status"]
        ('r-17', True, 'success')
        >>> service.record_prediction("ad_scor", 0.7, {})["error"]
        "no model 'ad_scor' is registered (did you mean 'ad_score'?)"
        >>> service.close()
        """
        if segment is not None:
            metadata = with_segment(metadata, segment)
        # By position: eleven keywords cost a tenth of a microsecond more.
        return self._record(
            model_id,
            prediction,
            features,
            actual,
            metadata,
            latency_ms,
            prediction_id,
            timestamp,
            model_version,
            error,
            copy,
        )

    def record_predictions(
        self,
        model_id: str,
        predictions: Any,  # noqa: ANN401 - a column of whatever a model returns
        features: Any,  # noqa: ANN401 - any table
        actuals: Any = None,  # noqa: ANN401
        metadata: dict[str, Any] | Sequence[dict[str, Any] | None] | None = None,
        latency_ms: Any = None,  # noqa: ANN401 - a number, or a column
        *,
        prediction_ids: Any = None,  # noqa: ANN401 - a column
        timestamps: Any = None,  # noqa: ANN401 - a time, or a column
        segment: Any = None,  # noqa: ANN401 - text, or a column
        model_version: str | None = None,
        errors: Any = None,  # noqa: ANN401 - a column
        copy: bool = True,
    ) -> Result:
        """
        Record many predictions by one call; they count as if each had been recorded by itself. Never raises.

        Parameters
        ----------
        model_id
            A registered model.
        predictions
            One per row, shape (n,) or (n, 1): scores, numbers or labels. Of probabilities of shape (n, 2) the second
            column is taken, of (n, k) the place of the largest in each row, and beside it its score.
        features
            The inputs, n rows: a DataFrame of pandas or polars, a pyarrow table, a dict of columns, a list of dicts,
            or a 2-D array of shape (n, features) in the profile's order. None if there are none.
        actuals
            Ground truth where it is known already, shape (n,); None and NaN say that it isn't.
        metadata
            A dict for all rows, or a list of one per row.
        latency_ms
            Milliseconds: one number is how long the call took for all n rows together, and each row is taken to have
            needed its share, a n-th; or one number per row, shape (n,).
        prediction_ids
            Your ids, shape (n,), to join ground truth with; made where there is none.
        timestamps
            When it happened: one time for all, or one per row, each as in :meth:`record_prediction`; default now.
        segment
            One for all or one per row; see :meth:`record_prediction`.
        model_version
            Overrides the registered version.
        errors
            Which attempts failed, shape (n,): anything but None, False and NaN. Their features are not looked at.
        copy
            False if you promise not to change what you pass afterwards.

        Returns
        -------
        dict
            status, model_id, prediction_ids (n texts), recorded (attempts counted, always n), sampled (how many of them
            are looked at); warnings if there are any. What exceeds the room for rows that wait is counted, but not
            looked at, which a warning says. If lengths differ, or something can't be read: status and error, and
            nothing is recorded.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> service = ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False)
        >>> _ = service.register_model({"model_id": "ad_score"})
        >>> answer = service.record_predictions("ad_score", [0.7, 0.2], {"bid": [1.5, 0.3]}, latency_ms=8.0)
        >>> answer["recorded"], answer["sampled"], len(answer["prediction_ids"])
        (2, 2, 2)
        >>> service.record_predictions("ad_score", [0.7, 0.2], {"bid": [1.5]})["error"]
        'not recorded: features has 1 rows, there are 2 predictions'
        >>> service.close()
        """
        return self._parts.recorder.record_many(
            model_id,
            predictions,
            features,
            actuals=actuals,
            metadata=metadata,
            latency_ms=latency_ms,
            prediction_ids=prediction_ids,
            timestamps=timestamps,
            segment=segment,
            model_version=model_version,
            errors=errors,
            copy=copy,
        )

    def record_actual(self, model_id: str, prediction_id: str, actual: Any) -> Result:  # noqa: ANN401
        """
        Store late ground truth for a prediction; never raises.

        Parameters
        ----------
        model_id
            A registered model.
        prediction_id
            The id that :meth:`record_prediction` answered with, or was given; of any process on this storage.
        actual
            What turned out to be right, of the same kind as a prediction.

        Returns
        -------
        dict
            status, model_id, prediction_id; on an unknown model, an empty id or a full queue: status and error.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     answer = service.record_prediction("ad_score", 0.7, {"bid": 1.5})
        ...     service.record_actual("ad_score", answer["prediction_id"], 1)["status"]
        'success'
        """
        return self._parts.recorder.record_actual(model_id, prediction_id, actual)

    def record_actuals(self, model_id: str, prediction_ids: Any, actuals: Any) -> Result:  # noqa: ANN401 - columns
        """
        Store late ground truth for many predictions; never raises.

        Parameters
        ----------
        model_id
            A registered model.
        prediction_ids
            The ids of the predictions, shape (n,): list, array or column of a DataFrame.
        actuals
            What turned out to be right, shape (n,); None and NaN, which say that it isn't known, are left out.

        Returns
        -------
        dict
            status, model_id, recorded (n); if lengths differ, or an id is missing: status and error, and nothing is
            stored.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> service = ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False)
        >>> _ = service.register_model({"model_id": "ad_score"})
        >>> service.record_actuals("ad_score", ["r-17", "r-18"], [1, 0])["recorded"]
        2
        >>> service.record_actuals("ad_score", ["r-17", "r-18"], [1])["error"]
        'not recorded: actuals has 1 values, there are 2 prediction_ids'
        >>> service.close()
        """
        return self._parts.recorder.record_actuals(model_id, prediction_ids, actuals)

    @answers
    def update_model_metric(
        self, model_id: str, metric: str, value: float, metadata: dict[str, Any] | None = None
    ) -> Result:
        """
        Store one value of a metric that you computed yourself, and expose it as ``modelwatch_metric_value``.

        Parameters
        ----------
        model_id
            A registered model.
        metric
            One of the model's ``performance_metrics``.
        value
            A finite number; numpy's scalars and arrays of one element too.
        metadata
            Stored with the value.

        Returns
        -------
        dict
            status, metric, value, timestamp (now, ISO-8601 UTC); warnings where nothing is stored; status and error for
            a metric outside the model's ``performance_metrics`` (with the list of those inside), a value that is no
            finite number or lies where a known metric never goes (85 for an accuracy), an unknown model.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     service.update_model_metric("ad_score", "accuracy", 0.93, {"source": "training"})["value"]
        ...     service.update_model_metric("ad_score", "recall", 0.9)["error"]
        0.93
        "'recall' is not among the performance_metrics of 'ad_score'; they are: accuracy, latency_ms, error_rate"
        """
        return actions.update_metric(self._parts, model_id, metric, value, metadata, self._clock())

    def flush(self, timeout: float = 10.0) -> bool:
        """
        Wait until all that was recorded is visible and stored; on an event loop: ``await asyncio.to_thread(flush)``.

        Parameters
        ----------
        timeout
            Seconds to wait at most; less than 0 is as 0.

        Returns
        -------
        bool
            False if that did not happen in time; it goes on in the background.

        Raises
        ------
        InputError
            If `timeout` is no number.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     _ = service.record_prediction("ad_score", 0.7, {"bid": 1.5})
        ...     service.flush()
        True
        """
        return self._parts.recorder.flush(wait_seconds(timeout))
