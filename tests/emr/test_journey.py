"""From `filon train --on emr` to the model at home, on a step that really runs: spark-submit of what was uploaded, S3 over the wire."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.aws import Account
from tests.story.conftest import Said

Filon = Callable[..., Said]

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.spark]


def test_a_recipe_is_trained_examined_fetched_and_cleaned_up(filon: Filon, aws: Account, project: Path) -> None:
    sent = filon("train", "filon.toml", "--on", "emr", "--wait", "--evaluate", "s3://mine/data/bank.csv", "--json", timeout=900)
    assert sent.code == 0, sent.out[-3000:] + sent.err
    assert {"upload", "submit", "read", "search", "fit", "package"} <= set(sent.stages), (
        "progress is the job's own, not only the step's state"
    )
    assert sent.result["result"]["state"] == "done"
    out = sent.result["result"]["out"].removeprefix("s3://mine/")
    assert out.startswith("filon/models/model_")
    names = {key[len(out) + 1 :] for key in aws.keys(out)}
    assert {"manifest.json", "metrics/summary.json", "bundle/bundle.json", "bundle/model.ubj"} <= names
    exams = [key for key in aws.keys("filon/results/") if key.endswith("/metrics.json")]
    assert len(exams) == 1
    for _ in range(100):
        if not aws.alive():
            break
        time.sleep(0.1)
    assert aws.alive() == [], "the cluster made for the job ended with it"

    run = sent.result["result"]["id"]
    status = filon("status", run, "--json")
    assert status.result["result"][0]["step_state"] == "COMPLETED"

    fetched = filon("fetch", run, "--json")
    assert fetched.code == 0, fetched.err
    home = Path(fetched.result["result"]["run"])
    assert (project / home / "bundle" / "bundle.json").exists()
    assert json.loads((project / home / "manifest.json").read_text())["state"] == "done"
    scored = filon("predict", str(home / "bundle"), "--data", "bank.csv", "--out", "scored.csv", "--json")
    assert scored.code == 0, scored.out + scored.err

    logs = filon("logs", run, "--follow", "--stderr", "--json", timeout=300)
    assert "SparkContext" in logs.out

    doctor = filon("doctor", run)
    assert doctor.code == 0
    assert "nothing is wrong" in doctor.out

    cleaned = filon("cleanup", run, "--yes", "--json")
    assert cleaned.code == 0, cleaned.err
    assert aws.keys("filon/jobs/" + run) == []
    assert aws.keys(out), "a finished model is the user's own"


def test_a_rehearsal_comes_home_with_a_model_and_leaves_nothing(filon: Filon, project: Path) -> None:
    done = filon(
        "rehearse", "filon.toml", "--on", "emr", "--data", "bank.csv", "--set", "search.xgboost.max_depth=3", "--json", timeout=900
    )
    assert done.code == 0, done.out[-3000:] + done.err
    said = done.result["result"]
    assert (Path(said["home"]) / "bundle" / "bundle.json").exists()
    assert said["left"] == []
    assert said["log_lines"] > 0
    assert any("as the recipe says: $" in line for line in said["true_run"])
    assert any(line.startswith("1,") and "rows" in line for line in said["true_run"]), "priced by the sample: nobody outside is asked"
    assert not list((project / "runs" / ".jobs").glob("*"))


def test_our_own_error_comes_back_as_it_was_raised(filon: Filon, aws: Account, project: Path) -> None:
    sent = filon("train", "filon.toml", "--on", "emr", "--wait", "--set", "data.label=churned", "--json", timeout=900)
    assert sent.code == 2, sent.out[-2000:] + sent.err
    assert sent.result["error"]["code"] == "read.label-missing"
    seen = filon("doctor", "latest", "--wait", "30", "--json")
    assert seen.code == 1
    assert seen.result["result"]["cause"]["code"] == "read.label-missing"
    assert seen.result["result"]["cause"]["as_raised"]
