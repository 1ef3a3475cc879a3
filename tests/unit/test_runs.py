"""The run folder: never half-written, never shared, found again."""

import json
from pathlib import Path

import numpy as np
import pytest

from filon.api import run_rows
from filon.engines.base import CurvePoint
from filon.errors import RecipeError, SetupError
from filon.files import write_atomic
from filon.runs import create_run, find_run, list_runs, load_ensemble, resume_run, save_ensemble, to_plain
from filon.search.records import TrialRecord
from filon.trees import Ensemble, LinearDesign


def new(root: Path, name: str = "bank", fingerprint: str = "abcd1234"):
    return create_run(root, name, fingerprint, {"recipe": {}})


def record(number: int = 1) -> TrialRecord:
    curve = (CurvePoint(round=1, train=0.5, valid=None),)
    return TrialRecord(
        number=number, key=f"k{number}", family="xgboost", settings={"eta": 0.1}, seed=1, state="done", metrics={"f1": None}, curve=curve
    )


ENSEMBLE = Ensemble(
    family="xgboost", form="trees", link="logistic", model=b"{ubj}", classes=("no", "yes"), features=2, categorical=(False, True)
)


def test_two_runs_of_one_second_never_share_a_folder(tmp_path):
    paths = {new(tmp_path).path for _ in range(5)}
    assert len(paths) == 5


def test_trials_come_back_as_they_were(tmp_path):
    run = new(tmp_path)
    run.add_trial(record(1), ENSEMBLE)
    run.add_trial(record(2), None)
    assert run.trials() == (record(1), record(2))
    assert run.load_trial(1) == ENSEMBLE
    assert run.load_trial(2) is None


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    run = new(tmp_path)
    run.add_trial(record(1), None)
    with (run.path / "trials.jsonl").open("a") as out:
        out.write('{"number": 2, "key": "k')
    assert run.trials() == (record(1),)
    run.add_trial(record(3), None)
    assert [trial.number for trial in run.trials()] == [1, 3]


def test_an_ensemble_with_a_design_survives_the_disk(tmp_path):
    design = LinearDesign(fill=(0.5,), mean=(1.0,), scale=(2.0,), levels=(0,))
    linear = Ensemble(
        family="logistic_regression", form="linear", link="logistic", model=b"x", classes=("a", "b"), features=1, design=design
    )
    save_ensemble(tmp_path / "one", linear)
    assert load_ensemble(tmp_path / "one") == linear
    (tmp_path / "one.ubj").unlink()
    assert load_ensemble(tmp_path / "one") is None


def test_resume_takes_the_newest_unfinished_run_of_the_same_recipe(tmp_path):
    done, open_one, other = new(tmp_path), new(tmp_path), new(tmp_path, fingerprint="ffff0000")
    done.end("done")
    for run in (open_one, other):
        run.release()
    found = resume_run(tmp_path, "bank", "abcd1234")
    assert found.path == open_one.path
    assert found.manifest["attempts"] == 2
    found.end("done")
    with pytest.raises(RecipeError) as caught:
        resume_run(tmp_path, "bank", "abcd1234")
    assert caught.value.code == "run.nothing-to-resume"


def test_a_run_that_is_being_worked_on_is_not_taken(tmp_path):
    new(tmp_path)
    with pytest.raises(SetupError) as caught:
        resume_run(tmp_path, "bank", "abcd1234")
    assert caught.value.code == "run.taken"


def test_a_finished_run_leaves_no_scratch_and_says_so_last(tmp_path):
    run = new(tmp_path)
    run.add_trial(record(), ENSEMBLE)
    run.end("done")
    assert not run.work.exists()
    assert json.loads((run.path / "manifest.json").read_text())["state"] == "done"


@pytest.mark.parametrize("name", ["latest", "bank/{name}", "{name}"])
def test_runs_are_found_by_id_folder_and_latest(tmp_path, name):
    run = new(tmp_path)
    assert find_run(tmp_path, name.format(name=run.path.name)) == run.path
    assert find_run(tmp_path / "nowhere", str(run.path)) == run.path
    assert [path for path, _ in list_runs(tmp_path)] == [run.path]


def test_runs_of_a_recipe_are_found_from_its_folder(tmp_path):
    run = new(tmp_path / "runs")
    assert [row["path"] for root in (tmp_path, tmp_path / "runs") for row in run_rows(root)] == [str(run.path)] * 2


@pytest.mark.parametrize(("file", "text"), [("manifest.json", '{"run_id": "bank/x"}'), ("metrics/summary.json", '{"winner": null}')])
def test_a_damaged_run_hides_no_other(tmp_path, file, text):
    whole, damaged = new(tmp_path), new(tmp_path)
    (damaged.path / "metrics").mkdir()
    (damaged.path / file).write_text(text, encoding="utf-8")
    assert {row["path"]: row["state"] for row in run_rows(tmp_path)} == {str(whole.path): "running", str(damaged.path): "damaged"}


def test_a_run_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RecipeError) as caught:
        find_run(tmp_path, "nothing")
    assert caught.value.code == "run.not-found"


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.json"
    write_atomic(target, "old")
    with pytest.raises(SetupError) as caught:
        write_atomic(Path("/dev/full/file.json"), "new")
    assert caught.value.code in ("run.disk-full", "run.not-writable")
    assert target.read_text() == "old"
    assert list(tmp_path.glob(".*")) == []


def test_a_file_in_the_way_of_runs_is_told(tmp_path):
    (tmp_path / "bank").write_text("in the way")
    with pytest.raises(SetupError) as caught:
        new(tmp_path)
    assert caught.value.code == "run.not-writable"


def test_numpy_and_not_a_number_become_plain():
    assert to_plain({"a": np.float32(0.5), "b": float("inf"), "c": (np.int64(3),)}) == {"a": 0.5, "b": None, "c": [3]}
