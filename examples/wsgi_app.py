"""Serve predictions and their metrics with gunicorn and no framework.

    gunicorn wsgi_app:app --bind 127.0.0.1:8000 --workers 4
    curl -d '{"bid": 0.4, "position": 2}' http://127.0.0.1:8000/predict
    curl http://127.0.0.1:8000/metrics

With Flask, `DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app()})` does the same.
"""

import json
from collections.abc import Iterable
from typing import Any

from modelwatch import make_wsgi_app, monitor

metrics = make_wsgi_app()


@monitor("ad_score_model_v1")
def predict(features: dict[str, float]) -> float:
    return 0.02 + 0.3 * features["bid"] / (1 + features["position"])


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"].startswith("/metrics"):
        return metrics(environ, start_response)
    try:
        features = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        status, body = "200 OK", json.dumps({"score": predict(features)})
    except (KeyError, TypeError, ValueError) as error:
        status, body = "400 Bad Request", json.dumps({"error": repr(error)})
    start_response(status, [("Content-Type", "application/json")])
    return [body.encode()]
