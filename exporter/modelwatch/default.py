"""Module-level ``monitor`` and the default service behind it.

The default service is made on the first decorated call, from the environment (``MODELWATCH_CONFIG``,
``MODELWATCH_STORAGE``, ``MODELWATCH_MODEL_VERSION``). Nothing is read at import.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from modelwatch.decorator import Pick, wrap
from modelwatch.exceptions import InputError, RegistryTakenError

if TYPE_CHECKING:
    from modelwatch.service import ProductionMonitoringService
    from modelwatch.service.call import ModelCaller

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("modelwatch")

RETRY_SECONDS = 30.0
"""How long a predict function that can't be recorded goes on before it is tried again."""


class _Default:
    """Holds the one default service of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._service: ProductionMonitoringService | None = None
        self._retry_at = 0.0
        self._said: set[str] = set()
        self.port: int | None = None
        if hasattr(os, "register_at_fork"):
            # Another thread may hold the lock at the moment of a fork; in the child nobody would ever release it.
            os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    @property
    def current(self) -> ProductionMonitoringService | None:
        """The service, if there is one."""
        return self._service

    def service(self) -> ProductionMonitoringService:
        """Return the default service; make it on first use."""
        with self._lock:
            if self._service is None:
                self._service = _make_service()
                atexit.register(self.close)
            return self._service

    def caller(self, model_id: str, version: str | None, reference: str | Path | None) -> ModelCaller | None:
        """Return who records a model's calls; None if that can't be known now, to be asked again a while later."""
        try:
            if self._service is None and time.monotonic() < self._retry_at:
                return None
            service = self.service()
            known = service.knows(model_id)
            made = service.caller(model_id, version or os.environ.get("MODELWATCH_MODEL_VERSION"), reference)
            self._announce(service, model_id, known=known)
        except Exception as error:  # noqa: BLE001 - the recorder boundary: predict goes on unrecorded
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._say_once(f"{model_id} is not recorded: {error}")
            return None
        return made

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.warning("%s", text)

    def _announce(self, service: ProductionMonitoringService, model_id: str, *, known: bool) -> None:
        where = f"http://127.0.0.1:{self.port}/metrics" if self.port else "the prometheus_client registry"
        by_itself = "" if known else " (registered by itself)"
        text = "modelwatch records %s%s; storage %s; reference: %s; metrics: %s"
        logger.info(text, model_id, by_itself, service.storage, service.reference_of(model_id), where)

    def close(self) -> None:
        """Flush and stop the default service; the next decorated call makes a new one."""
        with self._lock:
            service, self._service, self._retry_at, self.port = self._service, None, 0.0, None
        if service is not None:
            service.close()


def _make_service() -> ProductionMonitoringService:
    from prometheus_client import REGISTRY

    from modelwatch.config import find_config
    from modelwatch.service import ProductionMonitoringService

    try:
        return ProductionMonitoringService(find_config(), registry=REGISTRY)
    except RegistryTakenError as error:
        logger.warning("%s; start_metrics_server() still serves what decorated functions record", error)
        return ProductionMonitoringService(find_config())


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
        from modelwatch.service.registration import check_version

        if callable(model_id):
            msg = 'write @monitor("your_model_id"), with the name of the model'
            raise InputError(msg)
        validate_name(model_id, "model_id")
        check_version(version)
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

    __slots__ = ("_args", "_generation", "_made", "_retry_at")

    def __init__(self, model_id: str, version: str | None, reference: str | Path | None) -> None:
        self._args = (model_id, version, reference)
        self._made: ModelCaller | None = None
        self._generation: ProductionMonitoringService | None = None
        self._retry_at = 0.0

    def caller(self) -> ModelCaller | None:
        """Return who records this function's calls; after a failure it is asked for again a while later only."""
        if self._made is not None and self._generation is _default.current:
            return self._made
        now = time.monotonic()
        if now < self._retry_at:
            return None
        self._made = _default.caller(*self._args)
        self._generation = _default.current
        self._retry_at = 0.0 if self._made is not None else now + RETRY_SECONDS
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
