"""The alert on predictions that are nearly all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwatch import conventions as c

if TYPE_CHECKING:
    from .conftest import Scenario

PROFILE = {"profile": "0f3a9c2e"}
MODEL = {"model_id": "ad_score", "model_version": "7"}
STUCK = {**MODEL, "severity": "warning"}
MINUTE = 60.0


def test_outputs_stay_stuck_while_the_sidecar_that_knows_the_reference_is_restarted(scenario: Scenario) -> None:
    for bound, below, rise in (("0.5", 50, 0), ("+Inf", 100, 10)):
        scenario.give(c.PREDICTION_VALUE, f"0+{rise}x480", "_bucket", le=bound, **MODEL, **PROFILE)
        # Away from the 40th minute to the 54th: longer than the alert is kept, and a scrape that fails leaves a mark.
        reference = f"{below}x159 stale _x55 {below}x260"
        scenario.give(c.PREDICTION_REFERENCE, reference, "_bucket", le=bound, **MODEL, **PROFILE)
    for minute in (20, 52, 56, 110):
        scenario.fires(minute * MINUTE, c.ALERT_STUCK_OUTPUT, STUCK)
    scenario.check()
