"""Module-level ``monitor`` and the default service behind it.

The default service is made on the first decorated call, from the environment (``MODELWATCH_CONFIG``,
``MODELWATCH_STORAGE``, ``MODELWATCH_MODEL_VERSION``). Nothing is read at import.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from modelwatch.decorator import Pick, wrap

if TYPE_CHECKING:
    from modelwatch.service import ProductionMonitoringService
    from modelwatch.service.call import ModelCaller

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("modelwatch")

MAX_TRIES = 3


class _Default:
    """Holds the one default service of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._service: ProductionMonitoringService | None = None
        self._failures = 0
        self.port: int | None = None

    def service(self) -> ProductionMonitoringService:
        """Return the default service; make it on first use."""
        with self._lock:
            if self._service is None:
                from prometheus_client import REGISTRY

                from modelwatch.config import find_config
                from modelwatch.service import ProductionMonitoringService

                self._service = ProductionMonitoringService(find_config(), registry=REGISTRY)
                atexit.register(self.close)
            return self._service

    def caller(self, model_id: str, version: str | None, reference: str | Path | None) -> ModelCaller | None:
        """Return who records a model's calls; None, said once, if the default service cannot be made."""
        with self._lock:
            if self._failures >= MAX_TRIES:
                return None
            try:
                service = self.service()
                known = service.knows(model_id)
                made = service.caller(model_id, version or os.environ.get("MODELWATCH_MODEL_VERSION"), reference)
            except Exception as error:  # noqa: BLE001 - the recorder boundary: predict goes on unrecorded
                self._failures += 1
                logger.warning("%s is not recorded: %s", model_id, error)
                return None
            self._announce(service, model_id, known=known)
            return made

    def _announce(self, service: ProductionMonitoringService, model_id: str, *, known: bool) -> None:
        status = next(m for m in service.get_service_status()["models"] if m["model_id"] == model_id)
        where = f"http://127.0.0.1:{self.port}/metrics" if self.port else "the default prometheus_client registry"
        logger.info(
            "modelwatch records %s%s; storage %s; reference: %s; metrics: %s",
            model_id, "" if known else " (registered by itself)", service.storage, status["reference"], where,
        )  # fmt: skip

    def close(self) -> None:
        """Flush and stop the default service; the next decorated call makes a new one."""
        with self._lock:
            service, self._service, self._failures, self.port = self._service, None, 0, None
        if service is not None:
            service.close()


_default = _Default()


class Monitor:
    """The type of :data:`modelwatch.monitor`: call it with a model_id to get a decorator."""

    def __call__(
        self,
        model_id: str,
        *,
        features: Pick = None,
        prediction: Pick = None,
        prediction_id: Pick = None,
        metadata: Pick = None,
        timestamp: Pick = None,
        version: str | None = None,
        reference: str | Path | None = None,
        ignore_errors: tuple[type[BaseException], ...] = (),
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """
        Return a decorator that records every call of a predict function.

        Binds to the default service on the first call and registers a model that no configuration lists: latency,
        errors and traffic are watched, and drift if `reference` names a profile. One log line says so.

        Parameters
        ----------
        model_id
            Names the model in metrics and alerts.
        features, prediction_id, metadata, timestamp
            The name of an argument, or a callable that gets the call's arguments. By default the features are the only
            argument, or all arguments by name if there are several.
        prediction
            A key or attribute of the result, or a callable that gets the result; by default the result itself.
        version
            The model version that this process serves; default ``$MODELWATCH_MODEL_VERSION``.
        reference
            Path of a reference profile; default: what the configuration says.
        ignore_errors
            Exceptions that are an answer rather than a failure.

        Returns
        -------
        Callable
            The decorator. The decorated function behaves as before: same result, same exceptions, same signature.

        Raises
        ------
        InputError
            At decoration, if the model_id is not usable or an argument name does not exist.
        NotAvailableError
            At decoration, for async functions and generators.

        Examples
        --------
        >>> @monitor("ad_score_model_v1")
        ... def predict(features: dict) -> float:
        ...     return 0.5 + 0.1 * features["bid"]
        >>> predict.__name__
        'predict'
        """
        from modelwatch.config import validate_name

        validate_name(model_id, "model_id")
        bound = _Binding(model_id, version, reference)

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            return wrap(
                function,
                bound.caller,
                features=features,
                prediction=prediction,
                prediction_id=prediction_id,
                metadata=metadata,
                timestamp=timestamp,
                ignore_errors=ignore_errors,
            )

        return decorate

    @staticmethod
    def last_prediction_id() -> str | None:
        """Return the id of the prediction recorded last in this thread or task, to join ground truth with later."""
        from modelwatch.recorder.ids import last_prediction_id

        return last_prediction_id()

    @staticmethod
    def flush(timeout: float = 10.0) -> bool:
        """Wait until all that was recorded by decorated functions is visible and stored."""
        return _default.service().flush(timeout)

    @staticmethod
    def close() -> None:
        """Flush and stop the default service; the next decorated call makes a new one."""
        _default.close()


class _Binding:
    """One decorated function's link to the default service, made on its first call."""

    __slots__ = ("_args", "_generation", "_made")

    def __init__(self, model_id: str, version: str | None, reference: str | Path | None) -> None:
        self._args = (model_id, version, reference)
        self._made: ModelCaller | None = None
        self._generation: ProductionMonitoringService | None = None

    def caller(self) -> ModelCaller | None:
        """Return who records this function's calls."""
        if self._made is None or self._generation is not _default._service:
            self._made = _default.caller(*self._args)
            self._generation = _default._service
        return self._made


monitor = Monitor()


def start_metrics_server(port: int = 9100, addr: str = "127.0.0.1") -> int:
    """
    Serve the metrics of the default service at ``http://addr:port/metrics``.

    Parameters
    ----------
    port
        TCP port; 0 takes any free one.
    addr
        Address to listen on; loopback unless told otherwise.

    Returns
    -------
    int
        The port.

    Raises
    ------
    InputError
        If the port is taken.
    """
    service = _default.service()
    _default.port = service.start_metrics_server(port, addr)
    return _default.port
