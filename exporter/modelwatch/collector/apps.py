"""Metrics as an ASGI or WSGI application, to be mounted in a server that is there already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from modelwatch.collector.readers import read_by
from modelwatch.collector.rendering import accepts_gzip, render
from modelwatch.exceptions import InputError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from prometheus_client import CollectorRegistry

__all__ = ["AsgiApp", "Source", "make_asgi_app", "make_wsgi_app"]

Source = Callable[[], "CollectorRegistry | None"]
"""Returns what to expose, when it is asked for; None if there is nothing now."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

METHODS = ("GET", "HEAD")
MAX_FIELDS = 1000
"""Names that one request may ask for."""
UNAVAILABLE = "modelwatch is closed, or could not be started: the log of this process says why"


class _Answer(NamedTuple):
    status: HTTPStatus
    headers: list[tuple[str, str]]
    body: bytes


def make_asgi_app(source: Source) -> AsgiApp:
    """
    Return an ASGI application that answers GET and HEAD, at whatever path it is mounted, with a registry's metrics.

    The text is made in a thread: thousands of series take a while, and the event loop belongs to others.

    Parameters
    ----------
    source
        Asked in that thread, at each request.
    """

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer = await asyncio.to_thread(_answer_http, source, scope)
            headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
            await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})  # before it is accepted: the client gets a 403
        else:
            msg = f"metrics are read by HTTP, not by {scope['type']!r}"
            raise InputError(msg)

    return app


async def _live(receive: Receive, send: Send) -> None:
    """Agree to the server's start and stop: nothing has to be done for either."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _answer_http(source: Source, scope: Message) -> _Answer:
    def header(wanted: bytes) -> str:
        return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name.lower() == wanted)

    query = scope.get("query_string", b"").decode("latin-1")
    with read_by(header(b"user-agent")):
        return _answer(source, scope["method"], query, header(b"accept"), header(b"accept-encoding"))


def make_wsgi_app(source: Source) -> WSGIApplication:
    """
    Return a WSGI application that answers GET and HEAD, at whatever path it is mounted, with a registry's metrics.

    Parameters
    ----------
    source
        Asked at each request.
    """

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with read_by(environ.get("HTTP_USER_AGENT", "")):
            answer = _answer(
                source,
                environ["REQUEST_METHOD"],
                environ.get("QUERY_STRING", ""),
                environ.get("HTTP_ACCEPT", ""),
                environ.get("HTTP_ACCEPT_ENCODING", ""),
            )
        start_response(f"{int(answer.status)} {answer.status.phrase}", answer.headers)
        return [answer.body]

    return app


def _answer(source: Source, method: str, query: str, accept: str, accept_encoding: str) -> _Answer:
    if method not in METHODS:
        sentence = f"metrics are read with {' or '.join(METHODS)}"
        return _sentence(HTTPStatus.METHOD_NOT_ALLOWED, sentence, method, ("Allow", ", ".join(METHODS)))
    try:
        names = parse_qs(query, max_num_fields=MAX_FIELDS).get("name[]", [])
    except ValueError:
        return _sentence(HTTPStatus.BAD_REQUEST, f"a query has at most {MAX_FIELDS} fields", method)
    registry = source()
    if registry is None:
        return _sentence(HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE, method)
    compress = accepts_gzip(accept_encoding)
    body, content_type = render(registry, accept, names, compress=compress)
    encoding = [("Content-Encoding", "gzip")] if compress else []
    return _ready(HTTPStatus.OK, content_type, body, method, ("Vary", "Accept, Accept-Encoding"), *encoding)


def _sentence(status: HTTPStatus, sentence: str, method: str, *headers: tuple[str, str]) -> _Answer:
    return _ready(status, "text/plain; charset=utf-8", f"{sentence}\n".encode(), method, *headers)


def _ready(status: HTTPStatus, content_type: str, body: bytes, method: str, *headers: tuple[str, str]) -> _Answer:
    about = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("X-Content-Type-Options", "nosniff")]
    return _Answer(status, [*about, *headers], b"" if method == "HEAD" else body)
