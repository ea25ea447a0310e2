"""A reference profile in the terminal: one line per feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.profile.divergence import D_PER_JS2, d_to_js, js_to_d
from modelwatch.profile.natural import LENGTHS, NOISY, tolerance_factor
from modelwatch.records import HIGH, INVALID_TYPE, LOW, MISSING, FeatureCells, IntArray, shown_name

if TYPE_CHECKING:
    from modelwatch.profile.reference import ReferenceProfile

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 12
_SHOWN_CATEGORIES = 3
_NAME_WIDTH = 28
_LEVEL = 0.05
"""What is tolerated of a feature that hardly varies, where no configuration says otherwise."""


def summarize(profile: ReferenceProfile) -> str:
    """Return the text of `ReferenceProfile.summary`."""
    lines = [_title(profile), ""]
    width = min(_NAME_WIDTH, max((len(shown_name(m.name)) for m in profile.layout.members), default=0))
    lines += [_line(profile, member, width) for member in profile.layout.members]
    lines += ["", *_tolerances(profile, width)] if profile.natural else []
    lines += ["", *(f"! {warning}" for warning in profile.warnings), profile.verdict]
    return "\n".join(lines)


def _title(profile: ReferenceProfile) -> str:
    model = f" of {profile.model_id} {profile.model_version}".rstrip() if profile.model_id else ""
    features = len(profile.layout.features)
    task = f", {profile.task}" if profile.task else ""
    rows = f"{profile.rows:,}".replace(",", " ")
    return f"Reference profile {profile.label}{model}: {rows} rows, {features} feature{'s' * (features != 1)}{task}"


def _line(profile: ReferenceProfile, member: FeatureCells, width: int) -> str:
    counts = profile.counts_of(member.name)
    tail = counts[member.shape_size :]
    name = _short(member, width)
    if member.kind == "numeric":
        bars, words = _numeric(profile, member, counts)
    else:
        shown = member.shape_size if member.known or not member.vocabulary_complete else len(member.categories)
        bars, words = sparkline(counts[:shown][:_WIDTH]), _categories(member, counts)
    gaps = ((tail[MISSING], "missing"), (tail[INVALID_TYPE:].sum(), "invalid"), (tail[LOW] + tail[HIGH], "unseen"))
    notes = "".join(f", {_share(int(count), int(counts.sum()))} {what}" for count, what in gaps if count)
    return f"  {name:<{width}}  {member.kind:<11}  {bars:<{_WIDTH}}  {words}{notes}"


def _tolerances(profile: ReferenceProfile, width: int) -> list[str]:
    """Return what is tolerated of each shape, by window, and which are too noisy to be watched."""
    windows = [label for label in LENGTHS if label in profile.natural]
    title = "Tolerated Jensen-Shannon distance in the last"
    lines = [title + "".join(f"  {window:>5}" for window in windows)]
    factor = tolerance_factor(profile.natural_days)
    natural = [profile.variation[place, :, 0] for place, label in enumerate(LENGTHS) if label in profile.natural]
    means = [factor * profile.mean_variation[place] for place, label in enumerate(LENGTHS) if label in profile.natural]
    told: set[str] = set()
    for index, member in enumerate(profile.layout.members):
        texts = [
            f"{float(d_to_js(max(js_to_d(_LEVEL), factor * v[index]))):.2f}"
            if v[index] <= js_to_d(NOISY)
            else ("mean" if mean[index] < D_PER_JS2 else "noisy")
            for v, mean in zip(natural, means, strict=True)
        ]
        told.update(texts)
        lines.append(f"  {_short(member, width):<{len(title) - 2}}" + "".join(f"  {text:>5}" for text in texts))
    if "noisy" in told:
        lines.append(
            f"noisy: its shape varies by more than JS {NOISY:g} by nature and can't raise an alarm there; a longer"
            " reference, or one of the same season, may tell more"
        )
    if "mean" in told:
        lines.append("mean: so does its shape there, but its mean varies less, and is what can raise an alarm")
    return lines


def _short(member: FeatureCells, width: int) -> str:
    name = shown_name(member.name)
    return name if len(name) <= width else name[: width - 1] + "…"


def _numeric(profile: ReferenceProfile, member: FeatureCells, counts: IntArray) -> tuple[str, str]:
    moments = profile.moments[member.name]
    q = moments.quantiles
    words = f"{q['q01']:.4g} … {q['q50']:.4g} … {q['q99']:.4g}"
    if member.minimum == member.edges[-1]:
        return "█", f"always {member.minimum:.6g}"
    low, high = (q["q01"], q["q99"]) if q["q01"] < q["q99"] else (moments.minimum, moments.maximum)
    # Cells hold about equal counts; what is shown is how many rows fall into equal steps of the range.
    scale = max(abs(member.minimum), abs(member.edges[-1]))
    edges = np.array([member.minimum, *member.edges]) / scale
    cumulative = np.concatenate([[0], np.cumsum(counts[: member.shape_size])])
    steps = np.linspace(low / scale, high / scale, _WIDTH + 1)
    return sparkline(np.diff(np.interp(steps, edges, cumulative)).tolist()), words


def _categories(member: FeatureCells, counts: IntArray) -> str:
    total = int(counts.sum())
    shown = zip(member.categories[:_SHOWN_CATEGORIES], counts.tolist(), strict=False)
    parts = [f"{text[:20] or '(empty)'} {_share(count, total)}" for text, count in shown]
    more = len(member.categories) + len(member.known) - len(parts)
    many = f"{more} more" if member.vocabulary_complete else "too many others to list"
    return ", ".join([*parts, many] if more > 0 or not member.vocabulary_complete else parts)


def _share(count: int, total: int) -> str:
    percent = 100 * count / total
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


def sparkline(counts: Sequence[float] | IntArray) -> str:
    """Return bars of a height in proportion to the counts.

    >>> sparkline([0, 1, 2, 4])
    '▁▃▅█'
    """
    top = max(max(counts, default=0), 1e-300)
    return "".join(_BARS[round(float(count) / top * (len(_BARS) - 1))] for count in counts)
