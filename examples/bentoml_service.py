"""Record a class whose methods are called by a model server, as BentoML, Ray Serve or KServe do.

With BentoML put `@bentoml.service` above the class and `@bentoml.api` above each method, above @monitor.
"""

from typing import Any

from modelwatch import monitor


class AdScore:
    def __init__(self) -> None:
        self.weight = 0.3  # your own: load the model

    @monitor("ad_score_model_v1", version="2026-11")
    def score(self, bid: float, position: int) -> float:
        return 0.02 + self.weight * bid / (1 + position)

    @monitor("ad_score_model_v1", version="2026-11", segment=lambda ads: [ad["country"] for ad in ads])
    async def score_many(self, ads: list[dict[str, Any]]) -> list[float]:
        return [0.02 + self.weight * ad["bid"] / (1 + ad["position"]) for ad in ads]

    async def explain(self, bid: float, position: int) -> dict[str, float]:
        """A prediction in the midst of other things."""
        with monitor("ad_score_explained") as call:
            call.features = {"bid": bid, "position": position}
            call.prediction = 0.02 + self.weight * bid / (1 + position)
        return {"score": call.prediction, "without_bid": 0.02}


if __name__ == "__main__":
    import asyncio

    service = AdScore()
    print(round(service.score(0.4, position=2), 3))
    ads = [{"bid": 0.8, "position": 1, "country": "NL"}, {"bid": 1.0, "position": 0, "country": "DE"}]
    print([round(score, 3) for score in asyncio.run(service.score_many(ads))])
    print(asyncio.run(service.explain(0.4, 2))["without_bid"])
    print(f"recorded: {monitor.flush()}")
