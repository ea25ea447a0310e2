"""An application as people have it, for gunicorn (``wsgi``) and uvicorn (``asgi``): /predict, and metrics mounted.

``METRICS_PORT`` in the environment: every worker also calls ``start_metrics_server`` when it loads the application.
``EARLY``: one prediction is made while the application loads, before a preloading server forks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from modelwatch import make_asgi_app, make_wsgi_app, monitor, start_metrics_server


@monitor("served")
def predict(features: dict[str, float]) -> float:
    return 0.5


metrics_wsgi, metrics_asgi = make_wsgi_app(), make_asgi_app()
if os.environ.get("EARLY"):
    predict({"a": 0.0})
if os.environ.get("METRICS_PORT"):
    start_metrics_server(int(os.environ["METRICS_PORT"]))


def answer() -> bytes:
    predict({"a": 1.0})
    return str(os.getpid()).encode()


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"].startswith("/modelwatch"):
        return metrics_wsgi(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer()]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan" or scope["path"].startswith("/modelwatch"):
        await metrics_asgi(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": answer()})
