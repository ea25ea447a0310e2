"""What an alert says of inputs that no longer go together as they did."""

from __future__ import annotations

from modelwatch.drift.pair_words import correlation_words
from modelwatch.notify.text import Fact
from modelwatch.notify.wording import number, shorten, window_words
from modelwatch.records import FamilyResult, TestResult

__all__ = ["MULTIVARIATE", "WARNING_AT_MOST", "pair_facts", "pair_names"]

MULTIVARIATE = "multivariate"
WARNING_AT_MOST = "warning at most: each of these inputs by itself may look as it always did"
_SHOWN = 3
_DISTANCES = {
    "correlation": "root mean square change of the correlations",
    "domain": "area under the ROC curve of a classifier of now and before, beyond 0.5:",
}


def pair_names(family: FamilyResult) -> str:
    """Return the two inputs that changed most together; "" for any other kind of drift."""
    if not family.pairs:
        return ""
    return f"{shorten(family.pairs[0].first, 40)} and {shorten(family.pairs[0].second, 40)}"


def pair_facts(family: FamilyResult, test: TestResult | None) -> list[Fact]:
    """Return a line for each of the pairs that changed most, and how far the whole is from the reference.

    Parameters
    ----------
    family : FamilyResult
        Multivariate drift.
    test : TestResult or None
        Of the window that deviates most.
    """
    pairs = [
        Fact(f"{shorten(pair.first, 40)} and {shorten(pair.second, 40)}", correlation_words(pair), code=True)
        for pair in family.pairs[:_SHOWN]
    ]
    if test is None:
        return pairs or [Fact("Inputs", "which ones is not known at the moment")]
    window = f"{window_words(test.window)} window, n = {number(test.n)}"
    what = _DISTANCES.get(test.test, "distance")
    return [*pairs, Fact("How far", f"{what} {test.score:.2f}, tolerance {test.threshold:.2f}, {window}")]
