"""Serve predictions and their metrics with uvicorn and no framework.

    uvicorn asgi_app:app --port 8000 --workers 4
    curl -d '{"bid": 0.4, "position": 2}' http://127.0.0.1:8000/predict
    curl http://127.0.0.1:8000/metrics

With a framework, `app.mount("/metrics", make_asgi_app())` does the same.
"""

import asyncio
import json
from typing import Any

from modelwatch import make_asgi_app, monitor

metrics = make_asgi_app()


@monitor("ad_score_model_v1")
def predict(features: dict[str, float]) -> float:
    return 0.02 + 0.3 * features["bid"] / (1 + features["position"])


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(f"this application answers HTTP only, not {scope['type']}")
    if scope["path"].startswith("/metrics"):
        await metrics(scope, receive, send)
        return
    try:
        score = await asyncio.to_thread(predict, json.loads(await read_body(receive)))
        status, body = 200, json.dumps({"score": score})
    except (KeyError, TypeError, ValueError) as error:
        status, body = 400, json.dumps({"error": repr(error)})
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


async def read_body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body
