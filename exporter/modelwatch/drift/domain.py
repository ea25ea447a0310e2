"""Drift between features by a domain classifier: whether the rows of a window can be told from earlier ones at all.

Gradient-boosted trees (scikit-learn) learn which rows are of the window. How well they tell rows that they have not
seen is the area under the ROC curve: one half where nothing changed, whatever the features are. A profile holds no
rows, so that the window is compared with stored rows from before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.drift.multivariate import Judged
from modelwatch.exceptions import MissingPackageError
from modelwatch.policy import Severity
from modelwatch.profile.correlation import codes_of, scores_of
from modelwatch.profile.learn_correlation import least_rows
from modelwatch.records import FloatArray, TestResult

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["AUC_TOLERANCE", "DOMAIN_TEST", "auc_variance", "judge_domain"]

DOMAIN_TEST: Literal["domain"] = "domain"
AUC_TOLERANCE = 0.05
"""How much better than one half is tolerated: 0.55."""
MOST_ROWS = 5_000
"""Rows of each side; with more it would take many seconds."""
FOLDS, TREES = 3, 50
_NORMAL = NormalDist()
_CONFIDENCE = 0.95
_LEAST_P = 1e-300


def auc_variance(auc: float, positives: int, negatives: int) -> float:
    """Return the variance of an area under the ROC curve (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747).

    >>> round(auc_variance(0.5, 1000, 1000) ** 0.5, 4)
    0.0129
    """
    first, second = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    excess = (positives - 1) * (first - auc**2) + (negatives - 1) * (second - auc**2)
    return (auc * (1.0 - auc) + excess) / (positives * negatives)


def judge_domain(
    profile: ReferenceProfile,
    now: tuple[Mapping[str, Any], int],
    before: tuple[Mapping[str, Any], int],
    window: str,
    alpha: float,
) -> Judged | None:
    """Return what it is worth that rows can be told from earlier ones: at most a warning.

    Parameters
    ----------
    profile : ReferenceProfile
        Its cells are what the rows are read by, and its features those that are compared.
    now, before : (mapping of str to column, int)
        Values by feature and the number of rows: of the window, and earlier ones.
    window : str
        What the window is called.
    alpha : float
        Level of the test.

    Returns
    -------
    Judged or None
        Its score is how much the area under the ROC curve exceeds one half. None if either side has too few rows, or
        fewer than two features are left.

    Raises
    ------
    MissingPackageError
        If scikit-learn is not installed.
    """
    constants = profile.correlation
    if constants is None:
        return None
    both = now[0].keys() & before[0].keys()
    kept = [name in both for name in constants.features]
    if sum(kept) < 2 or min(now[1], before[1]) < least_rows(sum(kept)):
        return None
    members = [profile.member(name) for name, is_kept in zip(constants.features, kept, strict=True) if is_kept]
    scores = (scores_of(constants.tables[kept], codes_of(members, columns, n)).T for columns, n in (before, now))
    sides = [_some(rows, MOST_ROWS) for rows in scores]
    aucs, variances = _cross_validated(*sides)
    return _judged(float(np.mean(aucs)), float(np.sum(variances)) / FOLDS**2, sides, window, alpha)


def _some(rows: FloatArray, most: int) -> FloatArray:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


def _cross_validated(before: FloatArray, now: FloatArray) -> tuple[list[float], list[float]]:
    """Return the area under the ROC curve of each fold, and its variance."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.model_selection import StratifiedKFold
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingPackageError(
            "drift.multivariate: domain_classifier needs scikit-learn: pip install scikit-learn"
        ) from error
    rows = np.concatenate([before, now])
    labels = np.repeat([0, 1], [len(before), len(now)])
    aucs, variances = [], []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(rows, labels):
        model = HistGradientBoostingClassifier(max_iter=TREES, random_state=0, early_stopping=False)
        # All cores belong to whoever predicts; and threads that wait for each other on busy ones take minutes.
        with threadpool_limits(1):
            model.fit(rows[train], labels[train])
            scores = model.predict_proba(rows[test])[:, 1]
        auc = _auc(scores, labels[test])
        positives = int(labels[test].sum())
        aucs.append(auc)
        variances.append(auc_variance(max(auc, 0.5), positives, len(test) - positives))
    return aucs, variances


def _auc(scores: FloatArray, labels: NDArray[np.int64]) -> float:
    """Return how often a row of the window scores higher than another, ties by half."""
    order = np.argsort(scores, kind="stable")
    _, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (counts + 1) / 2.0, counts)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


def _judged(auc: float, variance: float, sides: list[FloatArray], window: str, alpha: float) -> Judged:
    sd = variance**0.5
    p_real, p_large = (max(_NORMAL.cdf((less - (auc - 0.5)) / sd), _LEAST_P) for less in (0.0, AUC_TOLERANCE))
    margin = _NORMAL.inv_cdf(_CONFIDENCE) * sd
    score, high = max(0.0, auc - 0.5), max(0.0, auc - 0.5 + margin)
    severity = Severity.WARNING if p_large <= alpha else Severity.INFO if p_real <= alpha else Severity.NONE
    test = TestResult(
        feature="",
        test=DOMAIN_TEST,
        window=window,
        n=float(len(sides[1])),
        m=float(len(sides[0])),
        score=score,
        score_low=max(0.0, auc - 0.5 - margin),
        score_high=high,
        threshold=AUC_TOLERANCE,
        p_real=p_real,
        p_value=p_large,
        severity=severity,
    )
    can_tell = 2.0 * margin <= AUC_TOLERANCE
    return Judged(test, can_tell, high <= AUC_TOLERANCE if can_tell else score <= AUC_TOLERANCE)
