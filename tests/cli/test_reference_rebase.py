"""`modelwatch reference rebase`: what a feature does in production becomes its reference, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService, ReferenceProfile
from modelwatch.profile.cells import CellAssigner
from modelwatch.store import StoreWriter

N = 3000


def rows(seed: int, *, floor: float = 1.0, city: str = "Rome") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "bid": rng.gamma(2.0, size=N),
        "floor": np.round(rng.random(N) ** floor, 2),
        "city": rng.choice([city, "Oslo"], N).tolist(),
    }


@pytest.fixture(scope="module")
def before() -> ReferenceProfile:
    rng = np.random.default_rng(9)
    at = np.arange(N) * 900.0 + 1.7e9
    return ReferenceProfile.build(rows(0), rng.random(N), timestamps=at, model_id="ads", timezone="Europe/Rome")


@pytest.fixture
def recorded(before: ReferenceProfile, tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Return a profile's file, and a storage in which something else was recorded by it."""

    def record(data: dict[str, Any], **config: Any) -> tuple[Path, Path]:
        path, storage = before.save(tmp_path / "profile.json"), tmp_path / "storage"
        with ProductionMonitoringService(storage_path=storage, background=False) as service:
            service.register_model({"model_id": "ads", "reference": str(path), **config})
            service.record_predictions("ads", np.random.default_rng(5).random(N), data)
            service.flush()
        return path, storage

    return record


def test_one_feature_is_taken_anew_and_all_else_stays(
    before: ReferenceProfile, recorded: Any, command: Any, tmp_path: Path
) -> None:
    data = rows(1, floor=3.0)
    path, storage = recorded(data)
    out = tmp_path / "new.json"
    ran = command(
        "reference", "rebase", path, "--feature", "floor", "--since", "1h", "--storage", storage, "--out", out
    )
    assert (ran.code, ran.err) == (0, "")
    after = ReferenceProfile.load(out)
    assert (after.id, after.revision, after.rows) == (before.id, before.revision + 1, before.rows)
    for name in ("bid", "city", ""):
        assert after.counts_of(name).tolist() == before.counts_of(name).tolist()
    place = slice(before.layout.offsets[1], before.layout.offsets[2])
    counted = CellAssigner(before.layout).bin(data, N).cells
    assert after.counts_of("floor").tolist() == counted[place].tolist()
    moments = after.moments["floor"]
    assert moments.mean == pytest.approx(data["floor"].mean(), abs=0.005)
    assert moments.sd == pytest.approx(data["floor"].std(), abs=0.02)
    assert moments.quantiles["q50"] == pytest.approx(np.median(data["floor"]), abs=0.02)
    assert after.strata is not None
    assert before.strata is not None
    assert after.strata.counts[:, place].sum(axis=0).tolist() == after.counts_of("floor").tolist()
    assert np.delete(after.strata.counts, place, axis=1).tolist() == np.delete(before.strata.counts, place, 1).tolist()
    assert after.options["rebased"]["floor"]["rows"] == N
    assert after.natural["24h"].v.tolist() == before.natural["24h"].v.tolist()
    assert [line for line in ran.lines if line.startswith("floor 3 000 rows the same cells shape: mean 0.")]


def test_what_lies_outside_the_cells_gets_others_made_of_stored_rows(
    before: ReferenceProfile, recorded: Any, command: Any, tmp_path: Path
) -> None:
    data = rows(1, city="Lima")
    data["floor"] = data["floor"] * 10
    path, storage = recorded(data)
    ran = command(
        "reference", "rebase", path, "--feature", "floor", "--feature", "city", "--since", "1h", "--storage", storage,
        "--out", path,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    after = ReferenceProfile.load(path)
    expected = ReferenceProfile.build({"floor": data["floor"], "city": data["city"]})
    assert after.id != before.id
    assert after.revision == before.revision + 1
    for name in ("floor", "city"):
        assert after.member(name) == expected.member(name)
        assert after.counts_of(name).tolist() == expected.counts_of(name).tolist()
    assert after.moments["floor"] == expected.moments["floor"]
    assert after.counts_of("bid").tolist() == before.counts_of("bid").tolist()
    assert any(f"{before.label} → {after.label}" in line for line in ran.lines)


def test_applied_it_is_what_the_model_is_compared_with(recorded: Any, command: Any, tmp_path: Path) -> None:
    path, storage = recorded(rows(1, floor=3.0))
    out = tmp_path / "new.json"
    ran = command(
        "reference",
        "rebase",
        path,
        "--feature",
        "floor",
        "--since",
        "1h",
        "--storage",
        storage,
        "--out",
        out,
        "--apply",
    )
    assert (ran.code, ran.err) == (0, "")
    assert "ads is compared with it from now on" in ran.out
    with StoreWriter(storage) as store:
        reference = store.reference_of("ads")
        assert reference is not None
        assert store.load_profile(reference.profile_id) == out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--feature", "flor", "--since", "1h"), "no feature 'flor' (did you mean 'floor'?)"),
        (("--feature", "floor", "--since", "soon"), "--since must be a duration such as 3d, or a date"),
        (("--feature", "floor", "--since", "2999-01-01"), "--since must lie in the past"),
        (("--feature", "floor", "--since", "1h", "--until", "2h"), "--since must lie in the past"),
        (("--feature", "floor", "--since", "1h", "--model", "adds"), "no model 'adds'"),
        (("--feature", "floor", "--since", "5h", "--until", "4h"), "nothing of ads was counted by profile"),
        (("--feature", "floor", "--since", "1h", "--storage", "elsewhere"), "there is no store in"),
    ],
)
def test_a_mistake_is_a_sentence(
    argv: tuple[str, ...], message: str, recorded: Any, command: Any, tmp_path: Path
) -> None:
    path, storage = recorded(rows(1))
    out = tmp_path / "new.json"
    given = argv if "--storage" in argv else (*argv, "--storage", storage)
    ran = command("reference", "rebase", path, *given, "--out", out)
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not out.exists()


def test_without_stored_rows_there_can_be_no_new_cells(recorded: Any, command: Any, tmp_path: Path) -> None:
    data = rows(1)
    data["floor"] = data["floor"] + 0.5
    path, storage = recorded(data, log_predictions=False)
    ran = command(
        "reference", "rebase", path, "--feature", "floor", "--since", "1h", "--storage", storage, "--out", path
    )
    assert ran.code == 2
    assert "% of 'floor' lies outside the cells of the profile, and no rows are stored" in ran.err


def test_a_profile_that_names_no_model_needs_one(before: ReferenceProfile, command: Any, tmp_path: Path) -> None:
    path = ReferenceProfile.build(rows(0)).save(tmp_path / "p.json")
    ran = command("reference", "rebase", path, "--feature", "floor", "--since", "1h", "--out", path)
    assert ran.code == 2
    assert "--model is required" in ran.err
