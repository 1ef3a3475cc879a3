"""The main job through the command line: what a run leaves, and what it says."""

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import COMMAND, bank_like, environment

pytestmark = pytest.mark.story

STAGES = ("read", "check", "split", "search", "fit", "evaluate", "package")

LEFT = (
    "manifest.json",
    "findings.json",
    "profile.json",
    "profile.html",
    "trials.jsonl",
    "metrics/summary.json",
    "metrics/feature_importances.csv",
    "report/EVALUATION_REPORT.md",
    "report/report.html",
    "report/roc_curve.png",
    "report/pr_curve.png",
    "report/confusion_matrix.png",
    "report/calibration.png",
    "report/feature_importances.png",
    "bundle/bundle.json",
    "bundle/model.ubj",
    "bundle/model.onnx",
    "bundle/golden.parquet",
    "bundle/baseline.json",
    "bundle/MLmodel",
    "bundle/requirements.txt",
)


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "bank").iterdir()
    return run


def fingerprint(run: Path) -> dict[str, str]:
    """Hashes of what decides an answer."""
    return {name: hashlib.sha256((run / "bundle" / name).read_bytes()).hexdigest() for name in ("model.ubj", "model.onnx")}


def test_train_leaves_the_run_folder_of_the_contract(filon, bank):
    said = filon("train", "filon.toml", "--json")
    assert said.code == 0, said.err + said.out[-2000:]
    run = only_run(bank)
    assert [name for name in LEFT if not (run / name).exists()] == []
    assert not (run / "work").exists()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"] == "done"
    assert list(manifest["stages"]) == list(STAGES)
    assert {name: set(fold) >= {"rows", "digest"} for name, fold in manifest["folds"].items()} == dict.fromkeys(
        ("train", "valid", "test"), True
    )
    assert [reason.split(":")[0] for reason in manifest["openings"]] == ["winner"]  # a code that the report says in its own language
    assert set(STAGES) <= set(said.stages)


def test_summary_has_the_names_that_dashboards_read(filon, bank):
    assert filon("train").code == 0
    summary = json.loads((only_run(bank) / "metrics" / "summary.json").read_text())
    assert set(summary) >= {
        "metric_used",
        "train_samples",
        "val_samples",
        "test_samples",
        "n_features",
        "class_weights",
        "models",
        "winner",
        "confusion_matrix",
        "feature_importances",
    }
    assert set(summary["models"]) == {"XGBoost", "RandomForest", "LogisticRegression"}
    for model in summary["models"].values():
        assert set(model) >= {"val_metrics", "test_metrics", "best_params"}
    assert set(summary["winner"]) >= {"name", "val_metrics", "test_metrics_retrained"}
    assert set(summary["confusion_matrix"]) == {"TN", "FP", "FN", "TP"}
    assert sum(summary["confusion_matrix"].values()) == summary["test_samples"]
    assert set(summary["feature_importances"][0]) >= {"feature", "importance"}


def test_two_runs_of_one_recipe_make_the_same_model(filon, bank):
    assert filon("train").code == 0
    first = fingerprint(only_run(bank))
    assert filon("train", "--runs", "again").code == 0
    (second,) = (bank / "again" / "bank").iterdir()
    assert fingerprint(second) == first


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_run_stopped_at_any_stage_resumes_to_the_same_bundle(filon, bank, stage, how):
    assert filon("train", "--runs", "whole").code == 0
    (whole,) = (bank / "whole" / "bank").iterdir()
    code, said = stop_at(bank, stage, how)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130), said
    before = (only_run(bank) / "trials.jsonl").read_text() if (only_run(bank) / "trials.jsonl").exists() else ""
    said = filon("train", "--resume", "--json")
    assert said.code == 0, said.err + said.out[-2000:]
    run = only_run(bank)
    assert fingerprint(run) == fingerprint(whole)
    if stage in ("evaluate", "package"):  # heard once the test fold is open
        assert len(json.loads((run / "manifest.json").read_text())["openings"]) == 2, "the killed attempt looked at the test fold too"
        assert "opened 2 times" in (run / "report" / "EVALUATION_REPORT.md").read_text(encoding="utf-8")
    after = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    assert len(after) == len({trial["key"] for trial in after}), "a finished trial was fitted again"
    assert (run / "trials.jsonl").read_text().startswith(before[: before.rfind("\n") + 1])
    assert [path.name for path in run.rglob("*.tmp")] == []


def stop_at(folder: Path, stage: str, how: signal.Signals) -> tuple[int, str]:
    """Start a training and stop it at the first sign of a stage; its exit code, and the last that it said."""
    heard = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen([*COMMAND, "train", "--json", "--debug"], cwd=folder, env=environment(), **heard)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{") and json.loads(line).get("event", {}).get("stage") == stage:
            os.kill(process.pid, how)
            break
    rest, _ = process.communicate(timeout=60)  # a closed pipe would be an error of its own
    return process.returncode, rest[-3000:]


def test_resume_without_anything_to_resume_is_told(filon, bank):
    said = filon("train", "--resume")
    assert said.code == 2
    assert "error[run.nothing-to-resume]" in said.err


def test_a_blocker_stops_before_training_with_exit_1(filon, bank):
    said = filon("train", "--set", "check.min_rows=100000")
    assert said.code == 1
    run = only_run(bank)
    assert not (run / "trials.jsonl").exists()
    assert not (run / "bundle").exists()
    assert "blocker[check.few-rows]" in said.out


def test_predict_and_evaluate_and_runs_follow(filon, bank):
    assert filon("train").code == 0
    bundle = str(only_run(bank) / "bundle")
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    fresh = bank_like(300, seed=99)
    pacsv.write_csv(fresh, bank / "fresh.csv")
    said = filon("predict", bundle, "--data", "fresh.csv", "--out", "scored.parquet", "--json")
    assert said.code == 0, said.err + said.out
    assert said.result["result"]["scored"] == 300
    scored = pq.read_table(bank / "scored.parquet")
    assert scored["customer"].to_pylist() == fresh["customer"].to_pylist()
    said = filon("evaluate", bundle, "--data", "fresh.csv", "--out", "eval", "--lang", "es", "--json")
    assert said.code == 0, said.err + said.out
    for name in ("metrics.json", "feature_importance.json", "EVALUATION_REPORT.md", "report.html"):
        assert (bank / "eval" / name).exists(), name
    assert filon("runs", "--json").result["result"][0]["winner"]


def test_python_api_shows_itself_in_a_notebook(bank):
    import filon

    run = filon.train(bank / "filon.toml")
    shown = run._repr_html_()
    assert "data:image/png;base64," in shown
    assert len(run.headlines) == 3
    frame = bank_like(10, seed=3)
    assert run.bundle.predict(frame).num_rows == 10


def test_a_trial_that_fails_is_a_finding_and_the_search_goes_on(filon, bank):
    recipe = bank / "filon.toml"
    # XGBoost refuses a negative reg_lambda when it is fitted
    recipe.write_text(recipe.read_text().replace("[search.xgboost]\n", "[search.xgboost]\nreg_lambda = [1.0, -1.0]\n"), encoding="utf-8")
    said = filon("train", "--json")
    assert said.code == 0, said.out[-1500:] + said.err
    run = only_run(bank)
    found = {one["code"]: one for one in json.loads((run / "findings.json").read_text())["findings"]}
    assert "reg_lambda" in found["search.trial-failed"]["evidence"]
    states = [json.loads(line)["state"] for line in (run / "trials.jsonl").read_text().splitlines()]
    assert states.count("failed") == 2, "one for each of the two depths"
    assert states.count("done") >= 2
    assert "search.trial-failed" in found


def test_a_rule_that_stops_the_run_ends_it_and_leaves_the_curve_on_record(filon, bank):
    wild = ("search.xgboost.max_depth=9", "search.xgboost.eta=1.0", "search.xgboost.num_round=60", "search.xgboost.early_stopping_rounds=0")
    rules = ('rules.overfitting="stop-run"', "rules.overfit=0.05")
    said = filon("train", "--json", *(word for one in (*wild, *rules) for word in ("--set", one)))
    assert said.code == 5, said.out[-2000:]
    error = said.result["error"]
    assert error["code"] == "rules.run-stopped"
    assert "validation loss" in error["why"]
    run = only_run(bank)
    last = json.loads((run / "trials.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    (broken,) = (one for one in last["broken"] if one["action"] == "stop-run")
    assert (broken["rule"], broken["why"]) == ("overfitting", error["why"])
    assert 10 < len(last["curve"]) < 60
    assert not (run / "bundle").exists()


@pytest.mark.slow
def test_the_demo_trains_on_the_flights_and_ends_with_its_report_and_three_lines(filon, tmp_path):
    said = filon("demo", "--json", timeout=400)
    assert said.code == 0, said.out[-2000:] + said.err
    result = said.result["result"]
    assert (result["state"], len(result["headlines"])) == ("done", 3)
    assert (tmp_path / result["places"]["report"]).exists()
    assert result["metrics"]["winner"]["test_metrics_retrained"]["areaUnderROC"] > 0.8, "schedule and weather tell of delays"
    assert set(result["metrics"]["models"]) == {"XGBoost", "LogisticRegression"}
