"""One recipe on this machine and on a real standalone cluster, whose workers are killed on the way: the same folds, winner and model."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.servers.spark_cluster import Cluster, below, cluster, standalone  # noqa: F401 : fixtures
from tests.spark.test_cluster import filon, recipe
from tests.story.conftest import COMMAND, environment

from filon.places.environment import cached
from filon.places.lanes import own_versions, require_lane

pytestmark = [pytest.mark.spark, pytest.mark.slow]

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
