"""The search of a recipe that names no family: what is tried depends on the table's size, and the best are averaged."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.search.arithmetic_engine import FakeEngine, FakeFolds, merit_of

from filon.engines.base import FitPlan, Fitted, FoldInfo, Trial
from filon.rows.encode import Encoding, Feature
from filon.search import Choice, SearchSettings, TrialRecord, search
from filon.search.default import LEAST_STEP, MOST_TREES, TIERS


def run(engine: FakeEngine, folds: FakeFolds, settings: Mapping[str, Any] | None = None) -> Choice:
    kept: list[tuple[TrialRecord, Fitted]] = []
    chosen = SearchSettings.model_validate({"metric": "areaUnderROC", **(settings or {})})
    return search(folds, chosen, engine, seed=42, keep=lambda record, fitted: kept.append((record, fitted)))


def parts_of(engine: FakeEngine) -> set[tuple[int, int] | None]:
    return {plan.part for plan in engine.plans}


def test_small_tables_are_cross_validated_and_large_ones_are_not() -> None:
    small, large = FakeEngine(), FakeEngine()
    run(small, FakeFolds(train_rows=1000))
    run(large, FakeFolds(train_rows=200_000))
    assert {(part, 5) for part in range(5)} <= parts_of(small)
    assert parts_of(large) == {None}


def test_a_handful_of_rows_is_not_cut_into_parts() -> None:
    engine, folds = FakeEngine(), FakeFolds(train_rows=20)
    folds.info = {name: replace(one, rows=10) for name, one in folds.info.items()}
    run(engine, folds)
    assert parts_of(engine) == {None}


def test_rows_by_time_are_never_cross_validated() -> None:
    engine = FakeEngine()
    run(engine, FakeFolds(train_rows=1000, by="time"))
    assert parts_of(engine) == {None}


def test_cross_validation_stays_within_train_and_validation() -> None:
    engine = FakeEngine()
    run(engine, FakeFolds(train_rows=1000))
    assert {plan.train for plan in engine.plans if plan.part} == {("train", "valid")}
    assert {plan.train for plan in engine.plans if not plan.part} == {("train",)}  # what the validation fold judges never saw it


def test_what_is_tried_depends_on_nothing_but_the_table() -> None:
    first, second = FakeEngine(), FakeEngine()
    one, other = run(first, FakeFolds(train_rows=3000)), run(second, FakeFolds(train_rows=3000))
    assert replace(one, best={}) == replace(other, best={})
    assert one.best["xgboost"].ensemble == other.best["xgboost"].ensemble
    assert first.fitted == second.fitted


def test_the_winner_is_the_average_of_its_members() -> None:
    choice = run(FakeEngine(merit=lambda trial, _: 0.1 * float(str(trial.settings.get("max_depth", 0)))), FakeFolds(train_rows=4000))
    assert len(choice.members) > 2
    mean = sum(0.1 * float(str(member.trial.settings["max_depth"])) for member in choice.members) / len(choice.members)
    ensemble = choice.best["xgboost"].ensemble
    assert ensemble is not None
    assert merit_of(ensemble) == pytest.approx(mean, rel=1e-5)
    record = next(record for record in choice.records if record.number == choice.winner.number)
    assert record.shared.startswith("average of trials ")
    assert record.metrics["areaUnderROC"] is not None


def test_members_keep_enough_rounds_to_have_learnt() -> None:
    class Hasty(FakeEngine):
        def fit(self, folds: Any, trials: Any, plan: FitPlan) -> Any:
            for fitted in super().fit(folds, trials, plan):
                yield replace(fitted, rounds=3) if plan.part else fitted

    choice = run(Hasty(), FakeFolds(train_rows=1000))
    assert all(member.rounds * float(str(member.trial.settings["eta"])) >= LEAST_STEP for member in choice.members)


def test_an_average_has_a_bounded_number_of_trees() -> None:
    class Long(FakeEngine):
        def fit(self, folds: Any, trials: Any, plan: FitPlan) -> Any:
            for fitted in super().fit(folds, trials, plan):
                assert fitted.ensemble is not None
                yield replace(fitted, rounds=1900, ensemble=replace(fitted.ensemble, trees=1900, rounds=1900))

    choice = run(Long(), FakeFolds(train_rows=1000))
    assert 1 < len(choice.members) < 8
    assert sum(member.rounds for member in choice.members) <= MOST_TREES


def test_a_linear_model_wins_only_by_a_clear_lead() -> None:
    def merit(lead: float) -> FakeEngine:
        return FakeEngine(merit=lambda trial, _: 1.0 + (lead if trial.family == "logistic_regression" else 0.0))

    assert run(merit(0.0), FakeFolds(train_rows=1000)).winner.family == "xgboost"
    assert run(merit(3.0), FakeFolds(train_rows=1000)).winner.family == "logistic_regression"
    assert run(merit(3.0), FakeFolds(train_rows=1000)).members == ()


def test_one_bad_family_does_not_end_the_search() -> None:
    engine = FakeEngine(fails=lambda trial: "refused" if trial.family == "xgboost" else "")
    choice = run(engine, FakeFolds(train_rows=1000))
    assert choice.winner.family == "logistic_regression"


def test_a_budget_of_trials_cuts_the_portfolio() -> None:
    engine = FakeEngine()
    choice = run(engine, FakeFolds(train_rows=1000), {"budget": {"trials": 3}})
    assert len([record for record in choice.records if record.parts]) == 3


def test_a_member_joins_on_a_large_table_only_when_the_average_gets_better() -> None:
    best_first = FakeEngine(merit=lambda trial, _: 1.0 if trial.number == 1 else -1.0)
    assert run(best_first, FakeFolds(train_rows=200_000)).members == ()


def test_ordinal_categories_are_tried_only_where_there_are_categories() -> None:
    def tried(kind: Any) -> set[Any]:
        folds = FakeFolds(train_rows=1000)
        folds.encoding = Encoding(features=(Feature(name="a", kind=kind), Feature(name="b", kind="number")), classes=("no", "yes"))
        engine = FakeEngine()
        run(engine, folds)
        return {trial.settings.get("categories") for trial in engine.fitted if trial.family == "xgboost"}

    assert tried("number") == {"native"}
    assert tried("category") == {"native", "ordinal"}


@pytest.mark.parametrize("rows", [100, 5_000, 20_000, 100_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("features", [1, 15, 200])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_every_size_of_table_has_something_to_try(rows: int, features: int, kind: Any) -> None:
    folds = FakeFolds(train_rows=rows)
    folds.encoding = Encoding(features=tuple(Feature(name=f"f{n}", kind=kind) for n in range(features)), classes=("no", "yes"))
    folds.info = {**folds.info, "train": FoldInfo(rows=rows, by_class=(rows // 2, rows // 2), digest="0")}
    engine = FakeEngine()
    choice = run(engine, folds)
    assert choice.winner.family == "xgboost"
    assert not any(isinstance(trial, Trial) and trial.settings.get("library") == "mllib" for trial in engine.fitted)


def test_larger_tables_are_given_no_more_trials() -> None:
    trials = [len(tier.tried) * max(1, tier.parts) for tier in TIERS]
    assert trials == sorted(trials, reverse=True)


class Slow(FakeEngine):
    """Its time is up after 25 fits."""

    def fit(self, folds: Any, trials: Any, plan: FitPlan) -> Any:
        for fitted in super().fit(folds, trials, plan):
            if plan.deadline_s is not None and len(self.fitted) > 25:
                return
            yield fitted


def test_when_the_time_is_up_the_best_found_until_then_is_still_fitted_and_wins() -> None:
    choice = run(Slow(), FakeFolds(train_rows=1000), {"budget": {"minutes": 1}})
    assert [record.state for record in choice.records if record.parts] == ["done"] * 4 + ["skipped"] * 7
    assert len(choice.members) == 4
    assert choice.best["xgboost"].ensemble is not None


def test_what_time_cut_short_is_resumed_with_each_model_under_its_own_number() -> None:
    def by_settings(trial: Trial, plan: FitPlan) -> float:
        return 0.1 * float(str(trial.settings.get("max_depth", 0))) + float(str(trial.settings.get("colsample_bynode", 0)))

    models: dict[int, Fitted] = {}
    lines: list[TrialRecord] = []

    def keep(record: TrialRecord, fitted: Fitted) -> None:  # as a run folder does: a line and a model by its number
        if record.key not in {line.key for line in lines}:
            lines.append(record)
            models[record.number] = fitted

    settings = SearchSettings.model_validate({"metric": "areaUnderROC", "budget": {"minutes": 1}})

    def attempt(engine: FakeEngine) -> Choice:
        loaded = tuple(lines)
        return search(
            FakeFolds(train_rows=1000), settings, engine, seed=42, done=loaded, load=lambda number: models[number].ensemble, keep=keep
        )

    attempt(Slow(merit=by_settings))
    before = len(lines)
    choice = attempt(FakeEngine(merit=by_settings))  # as after a kill, on a machine with more time
    whole = run(FakeEngine(merit=by_settings), FakeFolds(train_rows=1000))
    assert len(lines) > before
    assert len({line.number for line in lines}) == len(lines)
    assert len({record.number for record in choice.records}) == len(choice.records)
    assert [(one.trial.settings, one.rounds) for one in choice.members] == [(one.trial.settings, one.rounds) for one in whole.members]
    assert choice.best["xgboost"].ensemble == whole.best["xgboost"].ensemble
    assert choice.best["xgboost"].trial == choice.winner
