"""A run folder says the same whenever it is read, and everything MLflow wants is in it."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.track.conftest import TRIALS, RunFolder

from filon.errors import RecipeError
from filon.track.outbox import CURVE_POINTS, Outbox, clean

NewRun = Callable[..., RunFolder]


def test_a_folder_read_again_gives_the_same_letters(new_run: NewRun) -> None:
    run = new_run()
    run.add_trials(1, 2, 3)
    run.end()
    first, again = Outbox(run.path), Outbox(run.path)
    assert first.parent() == again.parent()
    assert [letter.digest for letter in first.children()] == [letter.digest for letter in again.children()]


def test_trials_that_come_later_do_not_change_the_earlier_ones(new_run: NewRun) -> None:
    run = new_run()
    run.add_trials(1, 2)
    before = list(Outbox(run.path).children())
    run.add_trials(3, 4)
    assert list(Outbox(run.path).children())[:2] == before


def test_a_line_that_is_being_written_waits(new_run: NewRun) -> None:
    run = new_run()
    run.add_trials(1)
    with (run.path / "trials.jsonl").open("a") as out:
        out.write(json.dumps(TRIALS[1])[:40])
    assert [letter.trial for letter in Outbox(run.path).children()] == [1]


def test_the_parent_has_the_five_names_and_ours(new_run: NewRun) -> None:
    run = new_run()
    run.end()
    metrics = {point.key: point.value for point in Outbox(run.path).parent().points}
    expected = {
        "accuracy": 0.9,
        "auc": 0.8,
        "precision": 0.7,
        "recall": 0.6,
        "f1": 0.65,
        "test_areaUnderPR": 0.54,
        "valid_areaUnderPR": 0.55,
    }
    assert expected.items() <= metrics.items()
    assert metrics["test_at_threshold_precision"] == 0.75
    assert "test_logLoss" not in metrics  # not defined there: never sent as 0


def test_parameters_are_the_recipe_and_the_winner(new_run: NewRun) -> None:
    run = new_run("https://me:secret@server/")
    run.end()
    params = Outbox(run.path).parent().params
    assert params["search.gbt.maxIter"] == "[10, 20]"
    assert params["data.label"] == "deposit"
    assert params["winner"] == "XGBoost"
    assert params["winner.max_depth"] == "5"
    assert not any("secret" in value for value in params.values())


@pytest.mark.parametrize(("state", "status"), [("done", "FINISHED"), ("failed", "FAILED"), ("stopped", "FAILED"), ("running", "RUNNING")])
def test_states_of_a_run_are_mlflows(new_run: NewRun, state: str, status: str) -> None:
    run = new_run()
    run.end(state)
    assert Outbox(run.path).parent().status == status


def test_a_failed_trial_says_why(new_run: NewRun) -> None:
    run = new_run()
    run.add_trials(2, 3)
    good, bad = Outbox(run.path).children()
    assert (good.status, bad.status) == ("FINISHED", "FAILED")
    assert bad.tags["filon.error"] == "it broke"
    assert "valid_areaUnderPR" in {point.key for point in good.points}


def test_a_curve_is_sent_by_round_and_a_long_one_is_thinned(new_run: NewRun) -> None:
    run = new_run()
    run.add_trials(1)
    long = {**TRIALS[1], "curve": [{"round": step, "train": None, "valid": step / 5000} for step in range(5000)]}
    with (run.path / "trials.jsonl").open("a") as out:
        out.write(json.dumps(long) + "\n")
    short, thinned = Outbox(run.path).children()
    assert [point.step for point in short.points if point.key == "curve_valid_aucpr"] == list(range(10))
    steps = [point.step for point in thinned.points if point.key == "curve_valid_aucpr"]
    assert len(steps) == CURVE_POINTS
    assert (steps[0], steps[-1]) == (0, 4999)
    assert "curve_train_aucpr" not in {point.key for point in thinned.points}


def test_a_secret_of_the_environment_is_read_when_sending(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run("http://${HOST_OF_MLFLOW}:5000")
    with pytest.raises(RecipeError, match="HOST_OF_MLFLOW"):
        _ = Outbox(run.path).settings
    monkeypatch.setenv("HOST_OF_MLFLOW", "mlflow.example")
    assert Outbox(run.path).settings.uri == "http://mlflow.example:5000"


def test_a_letter_whose_content_changes_has_another_digest(new_run: NewRun) -> None:
    letter = Outbox(new_run().path).parent()
    assert replace(letter, status="FAILED").digest != letter.digest


def test_a_folder_that_is_no_run_is_refused(new_run: NewRun) -> None:
    with pytest.raises(RecipeError) as caught:
        Outbox(new_run().path.parent)
    assert caught.value.code == "track.not-a-run"


def test_names_are_made_such_that_mlflow_takes_them() -> None:
    assert clean("test_precision (°C)=5") == "test_precision __C__5"
    assert clean("señal/a.b-c: d") == "señal/a.b-c: d"
