"""What the search makes of broken rules: a record, a stopped run, and a resumed one that knows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.unit.search.arithmetic_engine import FakeEngine, FakeFolds

from filon.engines.base import FitPlan, Fitted, Trial
from filon.errors import EngineError
from filon.rules import Broken, RulesSettings
from filon.runs import create_run
from filon.search import SearchSettings, search
from filon.search.records import TrialRecord

SETTINGS = SearchSettings.model_validate({"xgboost": {"max_depth": [3, 6], "num_round": 50}})


@dataclass(kw_only=True)
class Breaking(FakeEngine):
    """The second trial breaks a rule."""

    action: Any = "warn"

    def fit(self, folds: Any, trials: Sequence[Trial], plan: FitPlan) -> Iterator[Fitted]:
        for fitted in FakeEngine.fit(self, folds, trials, plan):
            broken = Broken(rule="overfitting", round=17, action=self.action, why="worse and worse")
            yield replace(fitted, broken=(broken,)) if fitted.trial.number == 2 else fitted


def searched(action: str, done: Sequence[TrialRecord] = ()) -> tuple[list[TrialRecord], Breaking, Exception | None]:
    kept: list[TrialRecord] = []
    engine = Breaking(action=action)
    try:
        search(FakeFolds(), SETTINGS, engine, seed=1, done=done, keep=lambda record, _: kept.append(record), rules=RulesSettings())  # type: ignore[arg-type]
    except EngineError as exc:
        return kept, engine, exc
    return kept, engine, None


def test_a_warning_stands_with_the_trial_and_the_search_goes_on() -> None:
    kept, engine, error = searched("warn")
    assert error is None
    assert [[one.rule for one in record.broken] for record in kept] == [[], ["overfitting"]]
    assert engine.plans[0].rules == RulesSettings()


def test_a_rule_that_stops_the_run_leaves_the_trial_on_record_and_a_resumed_run_knows_it() -> None:
    kept, _, error = searched("stop-run")
    assert isinstance(error, EngineError)
    assert (error.code, error.why) == ("rules.run-stopped", "worse and worse")
    assert [record.number for record in kept] == [1, 2]
    _, engine, again = searched("stop-run", done=kept)
    assert isinstance(again, EngineError)
    assert engine.fitted == []


def test_trials_jsonl_keeps_what_was_broken(tmp_path: Path) -> None:
    kept, _, _ = searched("warn")
    folder = create_run(tmp_path, "bank", "abcd1234", {})
    for record in kept:
        folder.add_trial(record, None)
    assert folder.trials() == tuple(kept)


def test_a_search_without_rules_watches_for_nothing() -> None:
    engine = FakeEngine()
    search(FakeFolds(), SETTINGS, engine, seed=1, keep=lambda *_: None)  # type: ignore[arg-type]
    assert engine.plans[0].rules is None
