"""The sidecar over HTTP (contract 4)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from modelwatch.collector import accepts_gzip
from modelwatch.collector.readers import read_by
from modelwatch.exceptions import ConfigError, InputError

__all__ = ["HttpService", "build_app"]

logger = logging.getLogger("modelwatch")

MAX_BODY = 1024 * 1024
API = "/api/"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpService(Protocol):
    """What the HTTP side asks of the sidecar.

    Plain methods but :meth:`not_ready` and :meth:`log_alerts` are called off the event loop.
    """

    def metrics(self, accept: str, names: list[str], compress: bool) -> tuple[bytes, str]:
        """Return the text of all metrics and its content type."""

    def page(self) -> str:
        """Return the status page."""

    def not_ready(self) -> str | None:
        """Return why this can't serve yet, or None if it can."""

    def log_alerts(self, body: bytes) -> int:
        """Log what Alertmanager's webhook sends and return how many alerts that is; InputError if it is no such."""

    async def reload(self) -> None:
        """Read the configuration again; ConfigError if it is wrong."""


def build_app(service: HttpService, *, enable_lifecycle: bool) -> web.Application:
    """Return the application; ``POST /-/reload`` is refused unless `enable_lifecycle`."""
    routes = _Routes(service, enable_lifecycle=enable_lifecycle)
    app = web.Application(middlewares=[_errors], client_max_size=MAX_BODY)
    app.router.add_get("/", routes.page)
    app.router.add_get("/metrics", routes.metrics)
    app.router.add_get("/-/healthy", routes.healthy)
    app.router.add_get("/-/ready", routes.ready)
    app.router.add_post("/-/reload", routes.reload)
    app.router.add_put("/-/reload", routes.reload)
    app.router.add_post("/api/v1/alerts", routes.alerts)
    return app


class _Routes:
    def __init__(self, service: HttpService, *, enable_lifecycle: bool) -> None:
        self._service = service
        self._enable_lifecycle = enable_lifecycle

    async def page(self, _: web.Request) -> web.Response:
        text = await asyncio.to_thread(self._service.page)
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"})

    async def metrics(self, request: web.Request) -> web.Response:
        compress = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        names = request.query.getall("name[]", [])
        with read_by(request.headers.get("User-Agent", "")):
            body, content_type = await asyncio.to_thread(
                self._service.metrics, request.headers.get("Accept", ""), names, compress
            )
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        return web.Response(body=body, headers=headers | ({"Content-Encoding": "gzip"} if compress else {}))

    async def healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="modelwatch sidecar is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        reason = self._service.not_ready()
        if reason is not None:
            return web.Response(status=503, text=f"modelwatch sidecar is not ready: {reason}\n")
        return web.Response(text="modelwatch sidecar is ready.\n")

    async def reload(self, _: web.Request) -> web.Response:
        if not self._enable_lifecycle:
            raise web.HTTPForbidden(text="reloading by HTTP is off: start with --web.enable-lifecycle, or send SIGHUP")
        try:
            await self._service.reload()
        except ConfigError as error:
            raise web.HTTPBadRequest(text=f"the configuration is wrong, the one before stays:\n{error}") from error
        return web.Response(text="the configuration was read again\n")

    async def alerts(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            count = self._service.log_alerts(body)
        except InputError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({"status": "success", "alerts": count})


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer errors in words: JSON under /api, plain text elsewhere; what nobody foresaw is logged and says no more."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = _error(request, error.status, _sentence(request, error), error.headers.get("Allow"))
    except Exception:  # one request's fault is no other's
        logger.exception("the answer to %s %.200r failed", request.method, request.path)
        response = _error(request, 500, "this failed; the log of the sidecar says why")
    response.headers.update(_HEADERS)
    return response


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 404:
        return f"there is nothing at {request.path[:200]}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path[:200]} takes {' or '.join(sorted(error.allowed_methods))}, not {request.method[:20]}"
    if error.status == 413:
        return f"the body must have at most {MAX_BODY} bytes"
    return error.text or error.reason


def _error(request: web.Request, status: int, sentence: str, allow: str | None = None) -> web.Response:
    headers = {"Allow": allow} if allow else {}
    if request.path.startswith(API):
        text = json.dumps({"status": "error", "error": sentence.strip()})
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)
    return web.Response(status=status, text=sentence.rstrip("\n") + "\n", headers=headers)
