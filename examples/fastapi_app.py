"""Serve predictions with FastAPI: single rows and batches of pydantic models, metrics in the same application.

    uvicorn fastapi_app:app --port 8000 --workers 4
    curl -H 'content-type: application/json' -d '{"bid": 0.4, "position": 2}' http://127.0.0.1:8000/predict
    curl http://127.0.0.1:8000/metrics/

@monitor stands below the route. What FastAPI refuses before the model is asked is no prediction; what is raised for a
caller's mistake is named in `ignore_errors`: an attempt, and no error of the model.
"""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from modelwatch import make_asgi_app, monitor


class Ad(BaseModel):
    bid: float
    position: int


class Answer(BaseModel):
    score: float


app = FastAPI()
app.mount("/metrics", make_asgi_app())


def score(ad: Ad) -> Answer:
    return Answer(score=0.02 + 0.3 * ad.bid / (1 + ad.position))


@app.post("/predict")
@monitor("ad_score_model_v1", ignore_errors=(HTTPException,))
async def predict(ad: Ad) -> Answer:
    if ad.position < 0:
        raise HTTPException(400, "positions begin at 0")
    return score(ad)


@app.post("/predict_many")
@monitor("ad_score_model_v1")
def predict_many(ads: list[Ad]) -> list[Answer]:
    return [score(ad) for ad in ads]
