"""Module-level ``monitor`` and the default service behind it.

The default service is made on the first decorated call, from the environment (``MODELWATCH_CONFIG``,
``MODELWATCH_STORAGE``, ``MODELWATCH_MODEL_VERSION``). Nothing is read at import.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from modelwatch.decorator import ModelMonitor, Pick, check_reference_path
from modelwatch.default_service import RETRY_SECONDS, DefaultService
from modelwatch.exceptions import InputError
from modelwatch.names import check_version, validate_name

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from prometheus_client import CollectorRegistry

    from modelwatch.collector import AsgiApp
    from modelwatch.service import ProductionMonitoringService
    from modelwatch.service.call import ModelCaller

_default = DefaultService()


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
        segment: Pick = None,
        version: str | None = None,
        reference: str | Path | None = None,
        ignore_errors: tuple[type[BaseException], ...] = (),
        batch: bool | None = None,
    ) -> ModelMonitor:
        """
        Return a decorator that records every call of a predict function, async or not, of one row or of many.

        Binds to the default service on the first call and registers a model that no configuration lists: latency,
        errors and traffic are watched, and drift, against the profile that `reference` names or one that is learnt from
        production. One line at level INFO of the logger ``modelwatch`` says so and where things are; a script that
        configures no logging does not show it.

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
            The model version that this process serves; default ``$MODELWATCH_MODEL_VERSION``.
        reference
            Path of a reference profile; default: what the configuration says.
        ignore_errors
            Exceptions that are an answer rather than a failure.
        batch
            Whether a call is about many rows. By default it is if the features are a table (2-D array, DataFrame,
            pyarrow table, list of rows, dict of columns) and the result holds one answer per row. Say False where a
            dict holds an embedding or an array a time window, True for a list of texts. A failed call counts all rows
            of a table, but those of a dict of columns only with True.

        Returns
        -------
        ModelMonitor
            The decorator. The decorated function behaves as before: same result, same exceptions, same signature. It
            is also a context manager for a prediction that is no function: set ``features`` and ``prediction`` of what
            ``with`` gives. Made at each prediction it costs some microseconds; kept, it is safe in threads and tasks,
            and may be entered again while it is open.

        Raises
        ------
        InputError
            At decoration, if the model_id is not usable, an argument name does not exist, or the function is a
            generator; on entering a ``with`` block, if names of arguments are given.

        Examples
        --------
        >>> @monitor("ad_score_model_v1")
        ... def predict(features: dict) -> float:
        ...     return 0.5 + 0.1 * features["bid"]
        >>> predict.__name__
        'predict'
        >>> with monitor("ad_score_model_v1") as call:
        ...     call.features = {"bid": 2.0}
        ...     call.prediction = 0.5 + 0.1 * call.features["bid"]
        """
        if callable(model_id):
            msg = 'write @monitor("your_model_id"), with the name of the model'
            raise InputError(msg)
        validate_name(model_id, "model_id")
        check_version(version)
        check_reference_path(reference)
        picks = {
            "features": features,
            "prediction": prediction,
            "prediction_id": prediction_id,
            "metadata": metadata,
            "timestamp": timestamp,
            "segment": segment,
        }
        return ModelMonitor(_Binding(model_id, version, reference).caller, picks, ignore_errors, batch)

    @staticmethod
    def last_prediction_id() -> str | None:
        """
        Tell the prediction that was recorded last in this thread or task, to join ground truth with later.

        Returns
        -------
        str or None
            Its id, for ``record_actual``; None if there is none.

        Examples
        --------
        >>> @monitor("ad_score_model_v1")
        ... def predict(features: dict) -> float:
        ...     return 0.5 + 0.1 * features["bid"]
        >>> predict({"bid": 2.0})
        0.7
        >>> isinstance(monitor.last_prediction_id(), str)
        True
        """
        from modelwatch.recorder.ids import last_prediction_id

        return last_prediction_id()

    @staticmethod
    def flush(timeout: float = 10.0) -> bool:
        """
        Wait until all that was recorded by decorated functions is visible and stored.

        Parameters
        ----------
        timeout
            Seconds to wait at most; less than 0 is as 0.

        Returns
        -------
        bool
            False if that did not happen in time, or if nothing can be recorded, which the log says.

        Raises
        ------
        InputError
            If `timeout` is no number.

        Examples
        --------
        >>> monitor.flush()
        True
        """
        from modelwatch.service.given import wait_seconds

        return _default.flush(wait_seconds(timeout))

    @staticmethod
    def close() -> None:
        """
        Flush and stop the default service; the next decorated call makes a new one. It also happens at exit.

        Examples
        --------
        >>> monitor.close()
        """
        _default.close()


class _Binding:
    """One decorated function's link to the default service, made on its first call."""

    __slots__ = ("_args", "_generation", "_made", "_retry_at")

    def __init__(self, model_id: str, version: str | None, reference: str | Path | None) -> None:
        self._args = (model_id, version, reference)
        self._made: ModelCaller | None = None
        self._generation: ProductionMonitoringService | None = None
        self._retry_at = 0.0

    def __reduce__(self) -> tuple[type[_Binding], tuple[str, str | None, str | Path | None]]:
        # A model server may pickle a class with its decorated methods; it binds anew where it is loaded.
        return _Binding, self._args

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

    Call it in every worker (gunicorn, uvicorn): the first serves, summed over all of them; the others stand by, and one
    takes over within a second or two when it is gone, however it went. Metrics of other libraries are not shown: they
    would be those of whichever worker serves.

    Parameters
    ----------
    port
        TCP port; 0 takes any free one, for this worker alone. The same port again changes nothing.
    addr
        Address to listen on; loopback unless told otherwise.

    Returns
    -------
    int
        The port.

    Raises
    ------
    InputError
        If the port is taken by another program, or by an application with another storage folder.
    ConfigError
        If the configuration is wrong.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> port = start_metrics_server(0)
    >>> with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
    ...     b"modelwatch_build_info" in answer.read()
    True
    """
    return _default.service(served=True).start_metrics_server(port, addr)


def make_asgi_app() -> AsgiApp:
    """
    Return an ASGI application that serves the metrics of the default service.

    Mount it in the application that is there already; it answers GET and HEAD at any path below, off the event loop.
    Nothing is started here: the default service is made at the first request or prediction.

    Returns
    -------
    callable
        ``app(scope, receive, send)``. It answers 503 while the configuration is wrong; the log says why.

    Examples
    --------
    In FastAPI or Starlette: ``app.mount("/modelwatch", make_asgi_app())``.

    >>> callable(make_asgi_app())
    True
    """
    from modelwatch.collector import make_asgi_app as build

    _default.exposed("mounted by make_asgi_app")
    return build(_default.registry)


def make_wsgi_app() -> WSGIApplication:
    """
    Return a WSGI application that serves the metrics of the default service; like :func:`make_asgi_app`.

    Returns
    -------
    callable
        ``app(environ, start_response)``.

    Examples
    --------
    In Flask: ``app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/modelwatch": make_wsgi_app()})``.

    >>> callable(make_wsgi_app())
    True
    """
    from modelwatch.collector import make_wsgi_app as build

    _default.exposed("mounted by make_wsgi_app")
    return build(_default.registry)


def register_collector(registry: CollectorRegistry) -> None:
    """
    Expose the metrics of the default service in a registry.

    Cheap and repeatable: fit for the registry that is made at every request beside `prometheus_client`'s
    ``MultiProcessCollector``, whose endpoints show nothing else that is not told to them. Nothing is started here.

    Parameters
    ----------
    registry
        Any number of registries may show the service.

    Raises
    ------
    InputError
        If it is no registry.
    RegistryTakenError
        If the registry shows another service that is not closed.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> register_collector(CollectorRegistry())
    """
    from modelwatch.service.exposing import check_registry

    check_registry(registry)
    _default.register_in(registry)
    _default.exposed("a registry, by register_collector")
