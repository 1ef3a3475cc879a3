"""The whole journey on EMR Serverless, on job runs that really run; a sum that ends a job, an archive and a bundle that go along."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.emr.test_serverless import ROLE, applications, runs_of
from tests.servers.aws import Account
from tests.story.conftest import Said

from filon.places.environment import cached
from filon.places.lanes import own_versions, require_lane

Filon = Callable[..., Said]

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.spark]


@pytest.fixture
def serverless(project: Path) -> Path:
    """The project with its jobs on EMR Serverless."""
    recipe = project / "filon.toml"
    recipe.write_text(recipe.read_text() + f'serverless = true\nexecution_role = "{ROLE}"\n')
    return project


BUSY = 3.0
"""A machine that does other things at the same time may take so many times longer."""


class Watch(threading.Thread):
    """Looks which PYTHONPATH the job runs' drivers have, until it is asked to stop."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.seen, self.over = str(folder), set[str](), threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.3):
            for place in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if b"on_cluster.py" in (place / "cmdline").read_bytes():
                        said = dict(pair.partition("=")[::2] for pair in (place / "environ").read_text().split("\0"))
                        self.seen.update(part for part in said.get("PYTHONPATH", "").split(":") if part.startswith(self.folder))


def test_a_recipe_is_trained_without_a_cluster_and_scores_there(filon: Filon, aws: Account, serverless: Path, tmp_path: Path) -> None:
    archive = cached(require_lane(own_versions())).path
    watch = Watch(aws.folder)
    watch.start()
    sent = filon("train", "filon.toml", "--on", "emr", "--wait", "--json", "--set", f"places.emr.archive={archive}", timeout=900)
    watch.over.set()
    assert sent.code == 0, sent.out[-3000:] + sent.err
    assert {"upload", "submit", "read", "search", "fit", "package"} <= set(sent.stages), "progress is the job's own"
    assert watch.seen, "no driver was seen"
    assert {path.rpartition("/environment/")[2] for path in watch.seen} == {"site-packages"}, "the driver runs on the archive"
    assert aws.alive() == [], "there is no cluster"
    run = sent.result["result"]["id"]
    (row,) = filon("status", run, "--json").result["result"]
    assert (row["step_state"], row["cluster_state"]) == ("COMPLETED", "STARTED")

    # another machine comes back to it
    elsewhere = tmp_path / "elsewhere"
    attached = filon("attach", run, "--recipe", "filon.toml", "--runs", str(elsewhere), "--json", FILON_HOME=str(tmp_path / "theirs"))
    assert attached.result["result"]["state"] == "done", attached.err
    fetched = filon("fetch", run, "--runs", str(elsewhere), "--json")
    home = Path(fetched.result["result"]["run"])
    assert home.is_relative_to(elsewhere)
    logs = filon("logs", run, "--follow", "--stderr", "--json", timeout=120)
    assert "SPARK_DRIVER/stderr.gz" in logs.out
    assert "SparkContext" in logs.out
    assert "nothing is wrong" in filon("doctor", run).out

    # a bundle of this machine scores a table in S3 there
    words = ("--data", "s3://mine/data/bank.csv", "--out", "s3://mine/filon/scored/bank.parquet", "--on", "emr", "--wait", "--json")
    scored = filon("predict", str(home / "bundle"), *words, "--keep", "customer", timeout=600)
    assert scored.code == 0, scored.out[-3000:] + scored.err
    parts = [key for key in aws.keys("filon/scored/bank.parquet") if key.endswith(".parquet")]
    table = pa.concat_tables([pq.read_table(pa.BufferReader(aws.read(key))) for key in parts])
    assert table.num_rows == 1200
    here = filon("predict", str(home / "bundle"), "--data", "bank.csv", "--out", "here.parquet", "--keep", "customer", "--json")
    assert here.code == 0, here.err
    ours = {row["customer"]: row for row in pq.read_table(serverless / "here.parquet").to_pylist()}
    theirs = {row["customer"]: row for row in table.to_pylist()}
    assert ours.keys() == theirs.keys()
    numbers = [name for name in table.column_names if name != "customer" and pa.types.is_floating(table.schema.field(name).type)]
    assert numbers
    assert max(abs(ours[who][name] - theirs[who][name]) for who in ours for name in numbers) <= 1e-6

    exam = filon("evaluate", str(home / "bundle"), "--data", "s3://mine/data/bank.csv", "--on", "emr", "--wait", "--json", timeout=600)
    assert exam.code == 0, exam.out[-3000:] + exam.err
    brought = filon("fetch", exam.result["result"]["id"], "--json")
    assert brought.code == 0, brought.err
    assert (serverless / Path(brought.result["result"]["out"]) / "EVALUATION_REPORT.md").exists()

    # the next one is accepted soon, for the environment is there already
    began = time.monotonic()
    next_one = filon("train", "filon.toml", "--on", "emr", "--json", "--set", f"places.emr.archive={archive}", "--set", "split.seed=2")
    took = time.monotonic() - began
    assert next_one.code == 0, next_one.out + next_one.err
    assert f"{archive.name} is there already" in next_one.out
    assert took <= 10.0 * BUSY, f"{took:.1f} s from the command to the accepted job run, as a whole process"

    bills = filon("cost", "filon.toml", "--runs", "--json").result["result"]
    assert len(bills["runs"]) == 4
    ended = [one["bill"] for one in bills["runs"] if one["state"] == "done"]
    assert len(ended) == 3
    assert all(one["instance_hours"]["vCPU"] > 0 for one in ended)
    assert bills["dollars"] > 0

    cleaned = filon("cleanup", "--all", "--yes", "--json")
    assert cleaned.code == 0, cleaned.err
    assert applications(aws) == []
    assert aws.keys("filon/models/"), "a finished model is the user's own"


def test_a_job_ends_when_its_sum_is_spent(filon: Filon, aws: Account, serverless: Path) -> None:
    sent = filon("train", "filon.toml", "--on", "emr", "--wait", "--json", "--set", "search.budget.dollars=0.0001", timeout=600)
    assert sent.code == 5, sent.out[-2000:] + sent.err
    assert sent.result["error"]["code"] == "search.dollars-spent"
    spent = [json.loads(line)["event"].get("dollars") for line in sent.out.splitlines() if '"dollars"' in line]
    assert spent, "progress carries the dollars so far"
    for _ in range(50):
        if [one["state"] for one in runs_of(aws)] == ["FAILED"]:
            break
        time.sleep(0.1)
    assert [one["state"] for one in runs_of(aws)] == ["FAILED"]
