"""What a run will cost: by hand on a small case, and as it must behave on others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from filon.errors import RecipeError
from filon.places.emr.cost import START_HOURS, STEP_HOURS, estimate, meter_of, offer, offer_facts, offer_lines
from filon.places.emr.prices import by_table
from filon.places.emr.settings import EmrSettings
from filon.places.emr.shapes import MONTH_HOURS, candidates, hour_price, shape_of
from filon.places.emr.work import Table, Work, calibrated, trials_of, work
from filon.search.settings import RandomForestGrid, SearchSettings, XGBoostGrid
from filon.split.settings import SplitSettings

SETTINGS = EmrSettings(region="us-east-1")
TABLE = Table(rows=10_000_000, features=20, size_bytes=2**30, name="t.parquet")
TODO = Work(prepare=1.0, search=6.0, refit=4.2, trials=10)


def test_an_hour_of_the_default_cluster_is_as_by_hand() -> None:
    hour = hour_price(shape_of(SETTINGS), by_table("us-east-1", ["m5.xlarge", "m5.2xlarge"]))
    assert hour.machines == pytest.approx(0.192 + 2 * 0.384)
    assert hour.emr == pytest.approx(0.048 + 2 * 0.096)
    assert hour.disks == pytest.approx((64 + 2 * 2 * 128 + 3 * 15) * 0.08 / MONTH_HOURS)


def test_a_run_is_as_by_hand() -> None:
    prices = by_table("us-east-1", ["m5.xlarge", "m5.2xlarge"])
    one = estimate(shape_of(SETTINGS), TODO, TABLE, prices, transient=True)
    assert one.hours == pytest.approx(START_HOURS + STEP_HOURS + 11.2 / (16 * 0.7))
    assert one.dollars == pytest.approx(one.hour.total * one.hours + one.storage + one.requests)
    standing = estimate(shape_of(SETTINGS), TODO, TABLE, prices, transient=False)
    assert one.hours - standing.hours == pytest.approx(START_HOURS)


def test_spot_is_cheaper_than_on_demand_by_its_share() -> None:
    made = offer(SETTINGS.model_copy(update={"task_count": 4}), TODO, TABLE)
    assert made.other_market is not None
    assert made.asked.shape.task_spot
    saved = made.other_market.machines - made.asked.machines
    assert saved == pytest.approx(4 * 0.384 * 0.6 * made.asked.hours)


def test_the_cheapest_shape_keeps_the_deadline_and_none_in_time_is_cheaper() -> None:
    for deadline in (0.5, 1.0, 3.0):
        made = offer(SETTINGS, TODO, TABLE, deadline_hours=deadline)
        assert made.cheapest is not None
        assert made.cheapest.hours <= deadline
        own = shape_of(SETTINGS)
        for shape in candidates(own, spot=True):
            prices = by_table("us-east-1", shape.kinds)
            other = estimate(shape, TODO, TABLE, prices, transient=True)
            assert other.hours > deadline or not other.fits or other.dollars >= made.cheapest.dollars - 1e-9


def test_a_shorter_deadline_is_never_cheaper() -> None:
    dollars = [offer(SETTINGS, TODO, TABLE, deadline_hours=hours).cheapest for hours in (0.4, 0.6, 1, 2, 4)]
    told = [one.dollars for one in dollars if one is not None]
    assert told == sorted(told, reverse=True)


def test_an_impossible_deadline_names_the_quickest() -> None:
    with pytest.raises(RecipeError) as caught:
        offer(SETTINGS, TODO, TABLE, deadline_hours=0.1)
    assert caught.value.code == "cost.deadline-impossible"
    assert "quickest" in caught.value.why


def test_a_table_that_does_not_fit_is_said_and_never_the_cheapest() -> None:
    large = replace(TABLE, rows=1_000_000_000)
    made = offer(SETTINGS, TODO, large, deadline_hours=5)
    assert not made.asked.fits
    assert any("does not fit" in line for line in offer_lines(made))
    assert made.cheapest is not None
    assert made.cheapest.fits


def test_the_age_of_the_prices_is_shown() -> None:
    made = offer(SETTINGS, TODO, TABLE)
    assert "days old" in offer_lines(made)[-1]
    facts = offer_facts(made)
    assert facts["prices"]["as_of"] == "2025-03-02"
    assert json.loads(json.dumps(facts)) == facts


def test_trials_that_differ_only_in_trees_are_one_fit() -> None:
    grid = SearchSettings(random_forest=RandomForestGrid(numTrees=(200, 400, 600), maxDepth=(10, 14, 18), maxBins=(64, 128)))
    assert len(trials_of(grid, 20)) == 6


def test_more_to_search_costs_more() -> None:
    few = work(TABLE, SearchSettings(xgboost=XGBoostGrid(max_depth=6)), SplitSettings())
    many = work(TABLE, SearchSettings(xgboost=XGBoostGrid(max_depth=(4, 6, 8), eta=(0.05, 0.1))), SplitSettings())
    assert many.trials == 6
    assert many.core_hours > few.core_hours
    assert few.prepare == many.prepare


def test_a_budget_of_trials_is_counted() -> None:
    grid = {"xgboost": {"max_depth": [4, 6, 8], "eta": [0.05, 0.1]}, "budget": {"trials": 2}}
    assert work(TABLE, SearchSettings.model_validate(grid), SplitSettings()).trials == 2


def _run(folder: Path, seconds: float, **changed: object) -> Path:
    stages = {"read": {"seconds": 1.0}, "search": {"seconds": seconds}, "package": {"seconds": 500.0}}
    facts = {"state": "done", "engine": "embedded", "rows": 1_000_000, "features": ["a"] * 20, "stages": stages, **changed}
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_finished_runs_calibrate_the_rates(tmp_path: Path) -> None:
    search, split = SearchSettings(), SplitSettings()
    expected = work(Table(rows=1_000_000, features=20, size_bytes=0), search, split).core_hours
    runs = [_run(tmp_path / str(times), times * expected * 3600 / 2 - 1.0) for times in (2, 3, 9)]
    asked = work(TABLE, search, split)
    found = calibrated(asked, runs, search, split, cores=2)
    assert found.factor == pytest.approx(3.0)
    assert found.core_hours == pytest.approx(3 * asked.core_hours)
    assert "3 finished runs" in found.source


def test_runs_that_say_nothing_do_not_calibrate(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "failed", 900.0, state="failed"), _run(tmp_path / "short", 2.0), tmp_path / "absent"]
    asked = work(TABLE, SearchSettings(), SplitSettings())
    assert calibrated(asked, runs, SearchSettings(), SplitSettings(), cores=2) == asked


def test_a_job_with_a_sum_is_told_its_price() -> None:
    assert meter_of(SETTINGS, "us-east-1", None) == {}
    told = meter_of(EmrSettings(), "us-east-1", 5.0)
    assert float(told["FILON_DOLLARS_AN_HOUR"]) == pytest.approx(1.27, abs=0.05)
    assert float(told["FILON_PAID_HOURS_BEFORE"]) == pytest.approx(START_HOURS, abs=1e-3)
    assert meter_of(SETTINGS.model_copy(update={"cluster_id": "j-1"}), "", 5.0)["FILON_PAID_HOURS_BEFORE"] == "0.0000"


def test_a_cap_that_nobody_can_count_is_not_promised() -> None:
    with pytest.raises(RecipeError) as caught:
        meter_of(EmrSettings(region="mars-1"), "mars-1", 5.0)
    assert caught.value.code == "cost.no-price"


def test_steps_and_starts_are_minutes_not_hours() -> None:
    assert 0 < STEP_HOURS < START_HOURS < 0.25
