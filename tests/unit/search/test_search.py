"""What `search` promises, whatever the engine: each fit once, the best chosen, one bad trial survived, a killed search resumed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.search.arithmetic_engine import FakeEngine, FakeFolds, by_depth

from filon.engines.base import Fitted, Trial
from filon.errors import DataError, EngineError, RecipeError
from filon.events import Event
from filon.search import Choice, SearchSettings, TrialRecord, search
from filon.trees import Ensemble

SMALL = {"xgboost": {"max_depth": [4, 6, 8], "eta": [0.1, 0.2], "num_round": 100}}
FOREST = {"random_forest": {"numTrees": [10, 20], "maxDepth": [4, 6], "featureSubsetStrategy": ["sqrt", "log2"]}}


class Kept:
    """What a run folder would keep."""

    def __init__(self) -> None:
        self.records: list[TrialRecord] = []
        self.fitted: dict[int, Fitted] = {}

    def __call__(self, record: TrialRecord, fitted: Fitted) -> None:
        self.records.append(record)
        self.fitted[record.number] = fitted

    def load(self, number: int) -> Ensemble | None:
        return self.fitted[number].ensemble


def settings_of(**families: Any) -> SearchSettings:
    return SearchSettings.model_validate({"metric": "areaUnderROC", **families})


def run(settings: SearchSettings, engine: FakeEngine, kept: Kept | None = None, done: Sequence[TrialRecord] = (), **more: Any) -> Choice:
    kept = kept or Kept()
    return search(more.pop("folds", FakeFolds()), settings, engine, seed=42, done=done, load=kept.load, keep=kept, **more)


def test_grid_is_every_combination_in_one_call_and_the_best_wins() -> None:
    engine, kept = FakeEngine(), Kept()
    choice = run(settings_of(**SMALL), engine, kept)
    assert engine.calls == [[1, 2, 3, 4, 5, 6]]
    assert [record.number for record in choice.records] == [1, 2, 3, 4, 5, 6]
    assert choice.winner.settings["max_depth"] == 6
    assert choice.best["xgboost"].trial == choice.winner
    assert choice.best["xgboost"].tally is not None
    assert [record.state for record in kept.records] == ["done"] * 6
    assert set(kept.records[0].metrics) >= {"areaUnderROC", "areaUnderPR", "logLoss"}


def test_settings_that_amount_to_the_same_are_fitted_once_and_recorded_each() -> None:
    engine, kept = FakeEngine(), Kept()
    choice = run(settings_of(**FOREST), engine, kept)  # of 15 features sqrt and log2 both choose 4
    assert len(engine.fitted) == 4
    assert len(choice.records) == len(kept.records) == 8
    assert sum(record.shared.startswith("same as trial") for record in choice.records) == 4
    twins = [record for record in choice.records if record.key == choice.records[0].key]
    assert len(twins) == 2
    assert twins[0].metrics == twins[1].metrics


def test_trials_that_are_parts_of_a_larger_fit_share_its_seed_and_no_other_do() -> None:
    engine = FakeEngine()
    run(settings_of(**FOREST), engine)
    assert len({trial.seed for trial in engine.fitted}) == 1  # fewer trees, and shallower ones, are part of the largest forest
    engine = FakeEngine()
    run(settings_of(gbt={"maxDepth": [5, 6], "maxIter": [10, 20]}), engine)
    by_depth: dict[Any, set[int]] = {}
    for trial in engine.fitted:
        by_depth.setdefault(trial.settings["maxDepth"], set()).add(trial.seed)
    assert [len(seeds) for seeds in by_depth.values()] == [1, 1]
    assert len(set.union(*by_depth.values())) == 2


def test_ties_go_to_fewer_trees_then_to_the_lower_number() -> None:
    choice = run(settings_of(random_forest={"numTrees": [30, 10, 20], "maxDepth": [5, 6]}), FakeEngine(merit=lambda *_: 0.5))
    assert choice.winner.settings["numTrees"] == 10
    assert choice.winner.settings["maxDepth"] == 5


def test_a_metric_that_falls_when_better_is_minimised() -> None:
    choice = run(settings_of(metric="logLoss", **SMALL), FakeEngine())
    value = {record.number: record.metrics["logLoss"] for record in choice.records}
    assert value[choice.winner.number] == min(value.values())


def test_a_failed_trial_is_recorded_and_the_search_goes_on() -> None:
    engine = FakeEngine(fails=lambda trial: "the trainer refused it\nat line 3" if trial.settings["max_depth"] == 6 else "")
    choice = run(settings_of(**SMALL), engine)
    assert [record.state for record in choice.records].count("failed") == 2
    assert choice.winner.settings["max_depth"] in (4, 8)


def test_all_failed_says_the_commonest_reason() -> None:
    engine = FakeEngine(fails=lambda trial: "eta is too large" if trial.settings["eta"] == 0.2 or trial.number == 1 else "no memory")
    with pytest.raises(EngineError, match="eta is too large") as caught:
        run(settings_of(**SMALL), engine)
    assert caught.value.code == "search.all-failed"


def test_a_metric_without_a_value_is_an_error_not_a_winner(monkeypatch: pytest.MonkeyPatch) -> None:
    from filon.evaluate import metrics

    monkeypatch.setattr(metrics, "value", lambda *_: None)
    with pytest.raises(DataError) as caught:
        run(settings_of(**SMALL), FakeEngine())
    assert caught.value.code == "search.metric-undefined"


def test_every_family_has_its_best() -> None:
    choice = run(settings_of(**SMALL, **FOREST, logistic_regression={"regParam": [0.1, 0.01]}), FakeEngine())
    assert set(choice.best) == {"xgboost", "random_forest", "logistic_regression"}
    assert choice.best["random_forest"].trial.settings["maxDepth"] == 6


def die_in_search(settings: SearchSettings, kept: Kept, stopped_after: int) -> None:
    """A search that is killed once it has kept more records than that."""

    class KilledError(Exception): ...

    def dying(record: TrialRecord, fitted: Fitted) -> None:
        kept(record, fitted)
        if len(kept.records) > stopped_after:
            raise KilledError

    with pytest.raises(KilledError):
        search(FakeFolds(), settings, FakeEngine(), seed=42, keep=dying)


@pytest.mark.parametrize("strategy", ["grid", "halving", "tpe", "auto"])
@pytest.mark.parametrize("stopped_after", [0, 1, 3])
def test_a_killed_search_resumes_without_fitting_anything_again(strategy: str, stopped_after: int) -> None:
    named = {} if strategy == "auto" else {**SMALL, **FOREST}
    settings = settings_of(**named, budget={"strategy": strategy, **({"trials": 12} if strategy == "tpe" else {})})
    whole_engine = FakeEngine()
    whole = run(settings, whole_engine)
    kept = Kept()
    die_in_search(settings, kept, stopped_after)
    written = list(kept.records)
    engine = FakeEngine()
    resumed = run(settings, engine, kept, done=written)
    finished = {record.number for record in written}
    assert engine.fitted == [trial for trial in whole_engine.fitted if trial.number not in finished]
    assert resumed.winner == whole.winner
    assert resumed.members == whole.members
    assert resumed.records == whole.records
    assert set(resumed.best) == set(whole.best)
    assert resumed.best[resumed.winner.family].ensemble == whole.best[whole.winner.family].ensemble  # type: ignore[index]


@pytest.mark.parametrize("stopped_after", range(8))
def test_each_of_twins_has_its_line_though_killed_between_them(stopped_after: int) -> None:
    whole, kept = run(settings_of(**FOREST), FakeEngine()), Kept()
    die_in_search(settings_of(**FOREST), kept, stopped_after)
    resumed = run(settings_of(**FOREST), FakeEngine(), kept, done=tuple(kept.records))
    assert resumed.records == whole.records
    assert sorted(record.number for record in kept.records) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert resumed.best["random_forest"].ensemble == whole.best["random_forest"].ensemble


def test_what_a_sampler_draws_again_is_not_fitted_again() -> None:
    few = {"xgboost": {"max_depth": [4, 6], "num_round": 100}}
    engine, kept = FakeEngine(), Kept()
    choice = run(settings_of(**few, budget={"strategy": "tpe", "trials": 12}), engine, kept)
    assert len(engine.fitted) == len({record.key for record in choice.records}) <= 3
    assert [record.number for record in kept.records] == [record.number for record in choice.records] == list(range(1, 13))
    assert kept.fitted[choice.winner.number].ensemble == choice.best["xgboost"].ensemble
    again = FakeEngine()
    assert (
        run(settings_of(**few, budget={"strategy": "tpe", "trials": 12}), again, kept, done=tuple(kept.records)).records == choice.records
    )
    assert again.fitted == []


def test_a_sampler_with_time_and_nothing_new_to_draw_ends() -> None:
    choice = run(settings_of(xgboost={"max_depth": [4, 6], "num_round": 100}, budget={"strategy": "tpe", "minutes": 5}), FakeEngine())
    assert len(choice.records) < 100


def test_a_model_that_its_family_has_beaten_is_not_kept() -> None:
    kept = Kept()
    choice = run(settings_of(**SMALL), FakeEngine(), kept)
    best, expected = -1.0, []
    for record in kept.records:
        value = record.metrics["areaUnderROC"]
        assert value is not None
        expected.append(value > best)
        best = max(best, value)
    assert [kept.fitted[record.number].ensemble is not None for record in kept.records] == expected
    assert not all(expected), "or nothing was tried here"
    assert kept.fitted[choice.winner.number].ensemble == choice.best["xgboost"].ensemble


def test_a_finished_search_is_repeated_without_one_fit() -> None:
    kept, engine = Kept(), FakeEngine(fails=lambda trial: "bad" if trial.number == 2 else "")
    first = run(settings_of(**SMALL), engine, kept)
    again = FakeEngine()
    second = run(settings_of(**SMALL), again, kept, done=kept.records)
    assert again.calls == []
    assert second == replace(first, best=second.best)
    assert second.best["xgboost"].tally is not None


def test_other_folds_make_other_keys() -> None:
    kept = Kept()
    run(settings_of(**SMALL), FakeEngine(), kept)
    engine = FakeEngine()
    run(settings_of(**SMALL), engine, kept, done=kept.records, folds=FakeFolds(train_rows=20_000))
    assert len(engine.fitted) == 6


@pytest.mark.parametrize("strategy", ["grid", "halving", "tpe"])
def test_the_same_seed_asks_the_same_trials(strategy: str) -> None:
    settings = settings_of(xgboost={"max_depth": [3, 9], "eta": [0.01, 0.3], "num_round": 100}, budget={"strategy": strategy, "trials": 8})
    first, second = FakeEngine(), FakeEngine()
    run(settings, first)
    run(settings, second)
    assert first.fitted == second.fitted


@pytest.mark.parametrize("strategy", ["grid", "halving", "tpe"])
def test_a_budget_of_trials_is_kept(strategy: str) -> None:
    engine = FakeEngine()
    choice = run(settings_of(**SMALL, **FOREST, budget={"strategy": strategy, "trials": 5}), engine, folds=FakeFolds(train_rows=4000))
    started = len(engine.calls[0]) if strategy == "halving" else len(choice.records)
    assert started <= 5
    if strategy == "grid":
        assert {record.family for record in choice.records} == {"xgboost", "random_forest"}  # spread, not cut off at the end


def test_trials_not_begun_in_time_are_skipped_and_fitted_when_resumed() -> None:
    kept = Kept()
    choice = run(settings_of(**SMALL), FakeEngine(begins=4), kept)
    assert [record.state for record in choice.records] == ["done"] * 4 + ["skipped"] * 2
    engine = FakeEngine()
    resumed = run(settings_of(**SMALL), engine, kept, done=choice.records)
    assert [trial.number for trial in engine.fitted] == [5, 6]
    assert [record.state for record in resumed.records] == ["done"] * 6


def test_no_trial_in_time_is_an_error() -> None:
    with pytest.raises(EngineError) as caught:
        run(settings_of(**SMALL), FakeEngine(begins=0))
    assert caught.value.code == "search.no-time"


def test_minutes_reach_the_engine_as_a_deadline() -> None:
    engine = FakeEngine()
    run(settings_of(**SMALL, budget={"minutes": 2}), engine)
    left = engine.plans[0].deadline_s
    assert left is not None
    assert 110 < left <= 120


def test_dollars_alone_are_refused_where_nothing_has_a_price() -> None:
    with pytest.raises(RecipeError) as caught:
        run(settings_of(**SMALL, budget={"dollars": 3}), FakeEngine())
    assert caught.value.code == "search.dollars-without-minutes"


def test_each_trial_is_heard_with_its_number_and_metric() -> None:
    heard: list[Event] = []
    run(settings_of(**SMALL), FakeEngine(), listen=heard.append)
    steps = [event for event in heard if event.fields.get("trial")]
    assert [(event.done, event.total) for event in steps] == [(number, 6) for number in range(1, 7)]
    assert all(event.stage == "search" and isinstance(event.fields["value"], float) for event in steps)


def test_halving_spends_rows_first_and_ends_on_all() -> None:
    engine = FakeEngine()
    settings = settings_of(xgboost={"max_depth": [1, 2, 3, 4, 5, 6, 7, 8, 9], "num_round": 100}, budget={"strategy": "halving"})
    choice = run(settings, engine, folds=FakeFolds(train_rows=90_000))
    assert [(len(call), plan.rows) for call, plan in zip(engine.calls, engine.plans, strict=True)] == [
        (9, 10_000),
        (3, 30_000),
        (1, 1_000_000),
    ]
    assert choice.winner.settings["max_depth"] == 6
    assert [record.rows for record in choice.records] == [10_000] * 9 + [30_000] * 3 + [1_000_000]


def test_halving_rations_rounds_on_a_small_table() -> None:
    engine = FakeEngine()
    settings = settings_of(xgboost={"max_depth": [1, 2, 3, 4, 5, 6, 7, 8, 9], "num_round": 900}, budget={"strategy": "halving"})
    choice = run(settings, engine, folds=FakeFolds(train_rows=1000))
    assert [{trial.settings["num_round"] for trial in engine.fitted if trial.number in call} for call in engine.calls] == [
        {100},
        {300},
        {900},
    ]
    assert choice.winner.settings == {**choice.winner.settings, "max_depth": 6, "num_round": 900}


def test_halving_lets_only_the_last_rung_win() -> None:
    def better_when_small(trial: Trial, plan: Any) -> float:
        return by_depth(trial, plan) + (5.0 if plan.rows < 20_000 else 0.0)

    settings = settings_of(xgboost={"max_depth": [1, 2, 3, 4, 5, 6, 7, 8, 9], "num_round": 100}, budget={"strategy": "halving"})
    choice = run(settings, FakeEngine(merit=better_when_small), folds=FakeFolds(train_rows=90_000))
    assert choice.winner.number == choice.records[-1].number


def test_tpe_draws_from_the_whole_range_and_comes_close_to_the_best() -> None:
    engine = FakeEngine(merit=lambda trial, _: 1 / (1 + 3 * abs(float(str(trial.settings["eta"])) - 0.1)))
    choice = run(settings_of(xgboost={"eta": [0.01, 0.5], "num_round": 50}, budget={"strategy": "tpe", "trials": 30}), engine)
    assert len(choice.records) == 30
    assert all(0.01 <= float(str(trial.settings["eta"])) <= 0.5 for trial in engine.fitted)
    assert 0.08 < float(str(choice.winner.settings["eta"])) < 0.12


def test_tpe_prunes_on_a_quarter_of_a_large_table() -> None:
    engine = FakeEngine()
    settings = settings_of(xgboost={"max_depth": [1, 30], "num_round": 50}, budget={"strategy": "tpe", "trials": 24})
    choice = run(settings, engine, folds=FakeFolds(train_rows=100_000))
    small = [record for record in choice.records if record.rows == 25_000]
    assert len(small) == 24
    assert len(choice.records) < 48
    assert choice.winner.number not in {record.number for record in small}
    assert len({record.number for record in choice.records}) == len(choice.records)
