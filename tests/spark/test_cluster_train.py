"""One recipe on this machine and on a real standalone cluster, whose workers are killed on the way: the same folds, winner and model."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from tests.servers.spark_cluster import CONF, Cluster, below, cluster, standalone  # noqa: F401 : fixtures
from tests.spark.test_cluster import filon, recipe
from tests.spark.test_connect import environment as packed_python
from tests.story.conftest import COMMAND, bank_like, environment

from filon.places.environment import cached
from filon.places.lanes import own_versions, require_lane

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
LONGER = ("--set", "search.xgboost.num_round=300")
"""So that there is a middle in which a worker can be lost."""


def facts(run: Path) -> dict[str, Any]:
    """What must be equal: folds, classes, trials, winner, metrics, and the very bytes of the model."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    summary = json.loads((run / "metrics" / "summary.json").read_text(encoding="utf-8"))
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "folds": manifest["folds"],
        "openings": manifest["openings"],
        "threshold": manifest["threshold"],
        "trials": {one["number"]: (one["family"], one["settings"], one["state"], one["metrics"]) for one in trials},
        "winner": summary["winner"]["name"],
        "models": summary["models"],
        "test": summary["winner"]["test_metrics_retrained"],
        "model": hashlib.sha256((run / "bundle" / "model.ubj").read_bytes()).hexdigest(),
    }


def train_and_disturb(folder: Path, disturb: Callable[[dict[str, Any]], None], *words: str) -> Path:
    """`filon train --on spark`, telling each event to `disturb` as it comes; the run's folder."""
    call = [*COMMAND, "train", "--json", "--on", "spark", "--runs", "there", *words]
    with subprocess.Popen(call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        last = ""
        for last in process.stdout:
            said = json.loads(last)
            if "event" in said:
                disturb(said["event"])
        errors = process.stderr.read()
    assert process.returncode == 0, (last, errors)
    return Path(json.loads(last)["result"]["run"])


def test_a_run_whose_workers_are_killed_is_the_run_of_this_machine(tmp_path: Path, cluster: Cluster) -> None:  # noqa: F811
    folder = recipe(tmp_path, cluster, more='strategy = "tasks"\n')
    killed: list[str] = []

    def disturb(event: dict[str, Any]) -> None:
        if event["stage"] == "search" and not killed and cluster.busy():
            killed.append("search")
            cluster.kill_worker(1)
            cluster.start_worker(1)
        if event["stage"] == "fit" and len(killed) == 1:
            killed.append("fit")
            cluster.kill_worker(2)

    there = train_and_disturb(folder, disturb, *LONGER)
    assert killed == ["search", "fit"]
    here = filon(folder, "train", "--json", "--runs", "here", *LONGER)
    assert here.code == 0, here.err
    assert facts(there) == facts(folder / here.result["result"]["run"])


def test_a_recipe_that_no_worker_has_room_for_is_an_error_and_not_a_wait(tmp_path: Path, cluster: Cluster) -> None:  # noqa: F811
    folder = recipe(tmp_path, cluster, **{"spark.executor.memory": "64g", "spark.scheduler.maxRegisteredResourcesWaitingTime": "5s"})
    said = filon(folder, "train", "--json", "--on", "spark")
    assert said.code == 5
    assert said.result["error"]["code"] == "engines.spark-no-slots"
    assert "spark.executor.memory" in said.result["error"]["fix"]


def test_workers_run_on_the_environment_that_the_job_took_along(tmp_path: Path, cluster: Cluster) -> None:  # noqa: F811
    lane = require_lane(own_versions())
    packed = cached(lane)
    folder = recipe(tmp_path, cluster, more=f'strategy = "tasks"\narchive = "{packed.path}"\n')
    seen: set[str] = set()

    def look(event: dict[str, Any]) -> None:
        if event["stage"] in ("split", "search", "fit"):
            seen.update(python_paths(cluster))

    there = train_and_disturb(folder, look)
    assert (there / "bundle" / "model.ubj").exists()
    assert seen, "no Python worker was seen"
    assert all("/environment/site-packages" in path for path in seen)


APART = """
name = "apart"
[data]
source = "t.csv"
label = "deposit"
drop = ["customer"]
[data.derive]
long = "features:long"
[split]
test_source = "test.csv"
[search.xgboost]
num_round = 4
max_depth = [2, 3, 4, 5]
[evaluate]
resamples = 50
shap_rows = 20
[track]
enabled = false
[places.spark]
master = "{master}"
strategy = "tasks"
archive = "{archive}"
[places.spark.conf]
"""

COMES_AND_GOES = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.maxExecutors": "2",
    "spark.executor.cores": "1",
}


def test_a_cluster_that_shares_no_disk_and_starts_without_executors_trains_from_here(tmp_path: Path, cluster: Cluster) -> None:  # noqa: F811
    """No executor is there before there is work; table, test table, modules and environment go to the workers; the event log stays."""
    packed_python(tmp_path)
    pacsv.write_csv(bank_like(600), tmp_path / "t.csv")
    pacsv.write_csv(bank_like(200, seed=8), tmp_path / "test.csv")
    (tmp_path / "features.py").write_text("import pyarrow.compute as pc\n\ndef long(rows):\n    return pc.utf8_length(rows['job'])\n")
    conf = "".join(f'"{name}" = "{value}"\n' for name, value in {**CONF, **COMES_AND_GOES}.items())
    (tmp_path / "recipe.toml").write_text(APART.format(master=cluster.master, archive=tmp_path / "python.tar.gz") + conf)
    words = [sys.executable, "-m", "tests.spark.apart", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    run = Path(json.loads(done.stdout.splitlines()[-1])["run"])
    assert (tmp_path / "used").exists(), "the workers ran on another Python than that of the archive"
    assert json.loads((run / "manifest.json").read_text())["folds"]["test"]["rows"] == 200
    assert "long" in (run / "bundle" / "bundle.json").read_text()
    told = json.loads((run / "spark.json").read_text())
    assert told["slots"] == 2
    assert told["event_log"] == "spark-events.zstd"
    with pa.input_stream(run / told["event_log"], compression="zstd") as log:
        events = [json.loads(line) for line in log.read().splitlines()]
    said = {event["Properties"].get("spark.job.description") for event in events if event["Event"] == "SparkListenerJobStart"}
    assert {"filon: check, in one task", "filon: split, in one task"} <= said
    assert {event["Stage Info"]["Stage ID"] for event in events if event["Event"] == "SparkListenerStageCompleted"} >= {
        stage["number"] for stage in told["stages"]
    }


def python_paths(cluster: Cluster) -> set[str]:  # noqa: F811
    """PYTHONPATH of each Python worker that runs below the cluster's workers."""
    found = set()
    for worker in cluster.workers.values():
        for pid in below(worker.pid):
            with suppress(OSError):
                if b"pyspark.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    said = dict(pair.partition("=")[::2] for pair in Path(f"/proc/{pid}/environ").read_text().split("\0"))
                    found.add(said.get("PYTHONPATH", ""))
    return found
