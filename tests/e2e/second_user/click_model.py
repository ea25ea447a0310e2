"""What the second reference user writes: a predict function with a bare decorator, served over HTTP. Nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from modelwatch import monitor

logging.basicConfig(level=logging.INFO)


@monitor("click_model")
def predict(features: dict[str, Any]) -> float:
    if features["platform"] == "broken":
        raise ValueError("no such platform")
    return min(0.9, 0.1 + 0.01 * float(features["bid"] or 0.0))


def predict_all(body: bytes) -> bytes:
    scores = []
    for features in json.loads(body):
        try:
            scores.append(predict(features))
        except ValueError:
            scores.append(-1.0)
    return json.dumps(scores).encode()


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer rows with scores (uvicorn)."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = predict_all(body or b"[]")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer rows with scores (gunicorn)."""
    answer = predict_all(environ["wsgi.input"].read() or b"[]")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
