"""The calls that expose metrics: a server of one's own, applications to mount, registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwatch.collector import AsgiApp, make_asgi_app, make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from prometheus_client import CollectorRegistry

    from modelwatch.service.parts import Parts

__all__ = ["ExposingCalls"]


class ExposingCalls:
    """What a service offers to whoever scrapes it. Each way shows the sum over all workers of the storage."""

    _parts: Parts

    def start_metrics_server(self, port: int = 9100, addr: str = "127.0.0.1") -> int:
        """
        Serve :attr:`registry` at ``http://addr:port/metrics``, on a thread of its own.

        Of several workers that share a storage folder the first serves the port. The others stand by, and one of them
        takes over within a second or two when it is gone, however it went.

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
            If the port is taken by another program, or by an application with another storage folder, or the service
            is closed.

        Examples
        --------
        >>> import tempfile
        >>> from urllib.request import urlopen
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     port = service.start_metrics_server(0)
        ...     with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        ...         b"modelwatch_build_info" in answer.read()
        True
        """
        return self._parts.exposing.serve(port, addr)

    def make_asgi_app(self) -> AsgiApp:
        """
        Return an ASGI application that serves this service's metrics, for ``app.mount("/modelwatch", …)``.

        It answers GET and HEAD at any path below, renders off the event loop, and knows OpenMetrics, gzip and
        ``name[]=``. It shows the metrics of modelwatch and no others: those are on an endpoint of yours already.

        Returns
        -------
        callable
            ``app(scope, receive, send)``. Once the service is closed it answers 503.

        Examples
        --------
        >>> import asyncio, tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> sent = []
        >>> async def send(message):
        ...     sent.append(message)
        >>> scope = {"type": "http", "method": "HEAD", "path": "/", "query_string": b"", "headers": []}
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     asyncio.run(service.make_asgi_app()(scope, None, send))
        >>> sent[0]["status"]
        200
        """
        return make_asgi_app(self._parts.exposing.source)

    def make_wsgi_app(self) -> WSGIApplication:
        """
        Return a WSGI application that serves this service's metrics; like :meth:`make_asgi_app`.

        Returns
        -------
        callable
            ``app(environ, start_response)``, for a dispatcher such as Werkzeug's ``DispatcherMiddleware``.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> request = {"REQUEST_METHOD": "GET", "QUERY_STRING": "name[]=modelwatch_shared_counters"}
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     (text,) = service.make_wsgi_app()(request, lambda status, headers: print(status))
        200 OK
        >>> text.decode().splitlines()[-1]
        'modelwatch_shared_counters 1.0'
        """
        return make_wsgi_app(self._parts.exposing.source)

    def register_collector(self, registry: CollectorRegistry) -> None:
        """
        Expose this service's metrics in a registry too.

        Cheap and repeatable: fit for the registry that is made at every request beside `prometheus_client`'s
        ``MultiProcessCollector``, whose endpoints show nothing else that is not told to them.

        Parameters
        ----------
        registry
            Any number of registries may show one service; it is let go with the registry.

        Raises
        ------
        InputError
            If it is no registry.
        RegistryTakenError
            If the registry shows another service that is not closed.

        Examples
        --------
        >>> import tempfile
        >>> from prometheus_client import CollectorRegistry, generate_latest
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     registry = CollectorRegistry()
        ...     service.register_collector(registry)
        ...     b"modelwatch_build_info" in generate_latest(registry)
        True
        """
        self._parts.exposing.add_to(registry)

    def metrics_places(self) -> list[str]:
        """Return the addresses that :meth:`start_metrics_server` was called for, and who serves each, in words."""
        return self._parts.exposing.places()
