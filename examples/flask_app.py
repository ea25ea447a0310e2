"""Serve predictions with Flask under gunicorn, metrics in the same application.

    gunicorn flask_app:app --bind 127.0.0.1:8000 --workers 4
    curl -H 'content-type: application/json' -d '{"bid": 0.4, "position": 2}' http://127.0.0.1:8000/predict
    curl http://127.0.0.1:8000/metrics

What stands with a prediction may come from the request: here its path, under "path" in the metadata.
"""

from typing import Any

from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from modelwatch import make_wsgi_app, monitor

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app()})  # type: ignore[method-assign]


@monitor("ad_score_model_v1", metadata=lambda features: {"path": request.path})
def predict(features: dict[str, float]) -> float:
    return 0.02 + 0.3 * features["bid"] / (1 + features["position"])


@app.post("/predict")
def answer() -> tuple[dict[str, Any], int]:
    try:
        return {"score": predict(request.get_json())}, 200
    except (KeyError, TypeError) as error:
        return {"error": repr(error)}, 400
