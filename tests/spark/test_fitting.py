"""Trials in tasks are the embedded engine's own fits, to the bit."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.spark.twins import LOCAL, Twins, table, twins

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.spark import tasks
from filon.engines.spark.capacity import Capacity
from filon.engines.spark.fitting import decided, fit
from filon.engines.spark.session import Session
from filon.engines.spark.tasks import why
from filon.errors import SetupError
from filon.events import Event

pytestmark = [pytest.mark.spark]

TRIALS = [
    Trial(number=1, family="xgboost", settings={"num_round": 12, "max_depth": 3, "subsample": 0.8}, seed=5),
    Trial(number=2, family="xgboost", settings={"num_round": 5, "max_depth": 3, "subsample": 0.8}, seed=5),
    Trial(number=3, family="random_forest", settings={"numTrees": 30, "maxDepth": 6}, seed=6),
    Trial(number=4, family="random_forest", settings={"numTrees": 8, "maxDepth": 4}, seed=6),
    Trial(number=5, family="gbt", settings={"maxIter": 8, "maxDepth": 3}, seed=7),
    Trial(number=6, family="logistic_regression", settings={"regParam": 0.01}, seed=8),
]


@pytest.fixture(scope="module")
def session(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(LOCAL, tmp_path_factory.mktemp("session"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with twins(session, tmp_path_factory.mktemp("pair"), table(3000)) as both:
        yield both


def both_ways(session: Session, pair: Twins, trials: list[Trial], plan: FitPlan) -> tuple[dict[int, Fitted], dict[int, Fitted]]:
    here = {one.trial.number: one for one in pair.engine.fit(pair.here, trials, plan)}
    there = {one.trial.number: one for one in fit(session, pair.there, trials, plan, "tasks")}
    assert set(here) == set(there)
    return here, there


def same(here: Fitted, there: Fitted) -> None:
    assert not there.error
    assert here.ensemble is not None
    assert there.ensemble is not None
    assert there.ensemble.model == here.ensemble.model
    assert there.ensemble == here.ensemble
    assert (there.rounds, there.shared, there.curve) == (here.rounds, here.shared, here.curve)
    if here.tally is not None:
        assert there.tally is not None
        assert (there.tally.confusion == here.tally.confusion).all()
        for one, other in zip(here.tally.curves, there.tally.curves, strict=True):
            assert (one.scores == other.scores).all()
            assert (one.positives == other.positives).all()


def test_every_family_is_the_embedded_engine_s_model_to_the_bit(session: Session, pair: Twins) -> None:
    here, there = both_ways(session, pair, TRIALS, FitPlan(rows=1500))
    for number in here:
        same(here[number], there[number])


def test_the_refit_on_both_folds_is_the_same_to_the_bit(session: Session, pair: Twins) -> None:
    here, there = both_ways(session, pair, [TRIALS[0], TRIALS[2], TRIALS[5]], FitPlan(train=("train", "valid"), valid=False))
    for number in here:
        same(here[number], there[number])


def test_parts_of_a_cross_validation_are_the_same_to_the_bit(session: Session, pair: Twins) -> None:
    plan = FitPlan(train=("train", "valid"), part=(1, 3))
    here, there = both_ways(session, pair, [TRIALS[0], TRIALS[5]], plan)
    for number in here:
        same(here[number], there[number])


def test_many_classes_weights_and_keys_are_the_same_to_the_bit(session: Session, tmp_path: Path) -> None:
    with twins(session, tmp_path, table(2000, classes=3, weights=True), 'weight = "w"\nkey = ["n3"]\n[split]\nby = "key"') as pair:
        for plan in (FitPlan(), FitPlan(train=("train", "valid"), part=(0, 2))):
            here, there = both_ways(session, pair, TRIALS, plan)
            for number in here:
                same(here[number], there[number])


def test_a_trial_that_cannot_be_fitted_costs_itself_alone(session: Session, pair: Twins) -> None:
    bad = Trial(number=7, family="xgboost", settings={"max_depth": -3, "num_round": 3}, seed=1)
    there = {one.trial.number: one for one in fit(session, pair.there, [bad, TRIALS[1]], FitPlan(), "tasks")}
    assert "max_depth" in there[7].error
    assert there[2].ensemble is not None


def small_trials(many: int) -> list[Trial]:
    return [Trial(number=at, family="xgboost", settings={"num_round": 3, "max_depth": 2}, seed=at) for at in range(1, many + 1)]


def test_small_trials_share_tasks_and_are_the_same_to_the_bit(session: Session, pair: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sent = tasks._worker, []

    def told(task: tasks.Task) -> Any:
        sent.append(len(task.trials))
        return whole(task)

    monkeypatch.setattr(tasks, "_worker", told)
    here, there = both_ways(session, pair, small_trials(40), FitPlan())
    for number in here:
        same(here[number], there[number])
    assert sum(sent) == 40
    assert len(sent) < 20


def test_a_trial_that_ends_its_worker_costs_itself_alone(session: Session, pair: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tasks._worker

    def deadly(task: tasks.Task) -> Any:
        work = whole(task)

        def dying(batches: Iterator[Any]) -> Iterator[Any]:
            if any(trial.number == 7 for trial in task.trials):
                os._exit(1)  # as the system does when memory runs out
            yield from work(batches)

        return dying

    monkeypatch.setattr(tasks, "_worker", deadly)
    there = {one.trial.number: one for one in fit(session, pair.there, small_trials(40), FitPlan(), "tasks")}
    assert len(there) == 40
    assert [number for number, one in there.items() if one.error] == [7]
    assert "ended from outside" in there[7].error


def test_a_deadline_leaves_trials_out(session: Session, pair: Twins) -> None:
    assert list(fit(session, pair.there, TRIALS, FitPlan(deadline_s=0.0), "tasks")) == []


def test_outcomes_come_while_others_are_fitted(session: Session, pair: Twins) -> None:
    slow = Trial(number=9, family="xgboost", settings={"num_round": 3000, "max_depth": 8, "early_stopping_rounds": 0}, seed=1)
    stream = fit(session, pair.there, [slow, TRIALS[1]], FitPlan(), "tasks")
    assert next(stream).trial.number == 2
    stream.close()  # type: ignore[attr-defined]  # the slow one is not waited for


def test_the_driver_hears_of_rounds_while_a_task_works(session: Session, pair: Twins) -> None:
    heard: list[Event] = []
    slow = Trial(number=9, family="xgboost", settings={"num_round": 100_000, "max_depth": 8, "early_stopping_rounds": 0}, seed=1)
    for _ in fit(session, pair.there, [slow], FitPlan(deadline_s=12.0), "tasks", heard.append):
        pass
    rounds = [event.fields["round"] for event in heard if "round" in event.fields]
    assert len(rounds) >= 2
    assert rounds == sorted(rounds)


def test_the_way_is_told_with_its_reason(session: Session, tmp_path: Path) -> None:
    with twins(session, tmp_path, table(600)) as pair:
        heard: list[Event] = []
        for _ in fit(session, pair.there, [TRIALS[1]], FitPlan(), "auto", heard.append):
            pass
    told = [event for event in heard if "strategy" in event.fields]
    assert len(told) == 1
    assert told[0].fields["strategy"] == "tasks"
    assert "MiB" in told[0].text


@pytest.mark.parametrize(("rows", "way"), [(100_000, "tasks"), (100_000_000, "cluster")])
def test_a_fold_that_does_not_fit_a_task_goes_over_the_cluster(rows: int, way: str) -> None:
    room = Capacity(slots=4, executors=2, cores=1, room_mib=1024, said="half of spark.executor.memory")
    assert decided("auto", rows, 28, room).way == way
    assert decided("tasks", rows, 28, room).way == "tasks"


def test_no_thread_is_left_behind(session: Session, pair: Twins) -> None:
    before = set(threading.enumerate())  # an open session has a thread of its own
    stream = fit(session, pair.there, TRIALS, FitPlan(), "tasks")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("filon-")]


def test_folds_are_carried_where_no_file_system_is_shared(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with twins(session, tmp_path, table(1200, weights=True), 'weight = "w"') as pair:
        monkeypatch.setattr(session, "work", "hdfs://nowhere/filon")
        here, there = both_ways(session, pair, [TRIALS[1], TRIALS[5]], FitPlan(rows=700))
        for number in here:
            same(here[number], there[number])


@pytest.mark.parametrize(
    "said",
    [
        "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Command exited with code 137",
        "Container from a bad node. Exit status: 137. Diagnostics: Container killed on request. Exit code is 137",
        "Container killed by YARN for exceeding physical memory limits. 9.1 GB of 9 GB physical memory used.",
        "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)",
    ],
)
def test_an_executor_out_of_memory_is_named_with_the_setting_to_change(said: str) -> None:
    from py4j.protocol import Py4JError

    assert "137" in why(Py4JError(said))
    assert "spark.executor.memoryOverhead" in why(Py4JError(said))


def test_a_worker_without_xgboost_is_an_error_of_the_setup_and_not_of_a_trial() -> None:
    from py4j.protocol import Py4JError

    with pytest.raises(SetupError) as caught:
        why(Py4JError("org.apache.spark.api.python.PythonException: ModuleNotFoundError: No module named 'xgboost'"))
    assert caught.value.code == "engines.workers-lack"
    assert "xgboost" in caught.value.what
