"""What `predict`, `watch` and `explain` do with `--engine spark`, as a shell sees it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.bundles.make import rows as customers
from tests.unit.package.conftest import rows, seal

pytestmark = [pytest.mark.spark, pytest.mark.slow]

WATCHED = Path(__file__).resolve().parents[1] / "bundles" / "watched-1"
SPARK = ("--engine", "spark", "--master", "local[1]", "--spark-conf", "spark.driver.memory=1g")


def filon(*words: str, cwd: Path, **more: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FILON_", "AWS_"))} | more
    command = [sys.executable, "-m", "filon", *words, "--json"]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]", code: int = 0) -> dict:
    said, err = process.communicate(timeout=280)
    assert process.returncode == code, said + err
    return json.loads(said.strip().splitlines()[-1])["result"]


def test_both_engines_write_the_same_rows(tmp_path: Path) -> None:
    bundle = seal(tmp_path / "made", "random_forest", derived=True)
    frame = rows(1000, seed=5).to_pandas().astype({"age": object})
    frame.loc[17, "age"] = "unknown age"
    frame.to_csv(tmp_path / "new.csv", index=False)
    words = ("predict", str(bundle.path), "--data", "new.csv", "--keep", "customer", "--out")
    odd = tmp_path / "datos [v2], año 50%"
    there = ended(filon(*words, "there.parquet", *SPARK, cwd=tmp_path, FILON_SCRATCH=str(odd)))
    assert not list(odd.iterdir())
    here = ended(filon(*words, "here.parquet", cwd=tmp_path))
    assert {**there, "out": ""} == {**here, "out": ""}
    assert (there["rows"], there["scored"], there["reasons"]) == (1000, 999, {'"age" is not a number': 1})
    one, other = (pq.read_table(tmp_path / name).to_pandas() for name in ("here.parquet", "there.parquet"))
    pd.testing.assert_frame_equal(one, other, atol=1e-6)


def test_the_same_drift_and_the_same_reasons(tmp_path: Path) -> None:
    pq.write_table(customers(4000, 8, older=4.0), tmp_path / "live.parquet")
    words = (str(WATCHED), "--data", "live.parquet", "--out")
    drift = [ended(filon("watch", *words, name, *more, cwd=tmp_path), 1) for name, more in (("here", ()), ("there", SPARK))]
    assert drift[0]["findings"] == drift[1]["findings"], "columns and score have drifted, and both engines say so in the same figures"
    assert any(one["column"] == "age" for one in drift[1]["findings"])
    reasons = [ended(filon("explain", *words, name, *more, cwd=tmp_path)) for name, more in (("why-here", ()), ("why-there", SPARK))]
    assert [one["feature"] for one in reasons[1]["importances"]] == [one["feature"] for one in reasons[0]["importances"]]


def java_of(mark: str) -> list[Path]:
    """Processes of Java with a text in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            java = b"SparkSubmit" in (place / "cmdline").read_bytes() and mark.encode() in (place / "environ").read_bytes()
            found += [place] if java else []
    return found


def test_ctrl_c_while_the_jvm_comes_up_leaves_none_behind(tmp_path: Path) -> None:
    pq.write_table(customers(100, 8), tmp_path / "live.parquet")
    mark = str(tmp_path)
    process = filon("predict", str(WATCHED), "--data", "live.parquet", "--out", "out", *SPARK, cwd=tmp_path, OF_THE_TEST=mark)
    until = time.monotonic() + 120
    while not java_of(mark):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=120)  # whoever was left behind would hold these pipes
    assert (process.returncode, json.loads(said.strip().splitlines()[-1])["error"]["code"]) == (130, "run.interrupted"), said + err
    while java_of(mark):
        assert time.monotonic() < until, "a JVM stayed behind"
        time.sleep(0.1)
    assert not (tmp_path / "out").exists()


def test_stream_ends_well_when_it_is_told_to(tmp_path: Path) -> None:
    bundle = seal(tmp_path / "made", "xgboost")
    here = tmp_path / "arriving [v2], año 50%"
    (here / "in").mkdir(parents=True)
    pq.write_table(rows(200), here / "in" / "a #1 [ñ].parquet")
    words = ("predict", str(bundle.path), "--stream", "--data", "in", "--out", "out", "--checkpoint", "notes", *SPARK)
    process = filon(*words, cwd=here)
    began = time.monotonic()
    while not (here / "out" / "batch=0" / "_SUCCESS").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < began + 240
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    done = ended(process)
    assert (done["batches"], done["rows"], done["rejected"]) == (1, 200, 0)
    again = ended(filon(*words, "--available-now", cwd=here))
    assert again["batches"] == 0, "what was scored is not scored again"
    other = filon(*words[:6], "elsewhere", *words[7:], "--available-now", cwd=here)
    said, _ = other.communicate(timeout=240)
    assert other.returncode == 2
    assert "predict.stream-checkpoint" in said


def test_a_jvm_that_is_killed_fails_no_trial(tmp_path: Path) -> None:
    """As when memory runs out: 24 of 28 trials were recorded as failed, and a resumed run chose among the other four."""
    pq.write_table(customers(300, 8), tmp_path / "t.parquet")
    families = "[search.xgboost]\nmax_depth = [2, 3, 4, 5]\neta = [0.1, 0.2, 0.3]\nnum_round = 1500\nearly_stopping_rounds = 0\n"
    more = '[track]\nenabled = false\n[places.spark]\nmaster = "local[1]"\nconf = { "spark.driver.memory" = "1g" }\n'
    (tmp_path / "filon.toml").write_text(f'name = "t"\n[data]\nsource = "t.parquet"\nlabel = "deposit"\n{families}{more}')
    process = filon("train", "filon.toml", "--engine", "spark", cwd=tmp_path, OF_THE_TEST=str(tmp_path))
    until = time.monotonic() + 240
    while not (trials := list(tmp_path.glob("runs/*/*/trials.jsonl"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    for place in java_of(str(tmp_path)):
        os.kill(int(place.name), signal.SIGKILL)
    said, err = process.communicate(timeout=120)
    assert (process.returncode, json.loads(said.strip().splitlines()[-1])["error"]["code"]) == (5, "engines.spark-lost"), said + err
    ended_so = [(line["state"], line.get("error")) for line in map(json.loads, trials[0].read_text().splitlines())]
    assert {state for state, _ in ended_so} == {"done"}, ended_so
    assert len(ended_so) < 12
    assert not list(tmp_path.glob("runs/*/*/*/filon-*"))


LOST = """
import os
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession
from filon.engines.spark.words import translated

SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
left_by_it = [EOFError(), ConnectionRefusedError(111, "refused"), Py4JError("An error occurred while calling o65.collectToPython")]
before = [found and found.code for found in (translated(one, "t") for one in left_by_it)]
gateway = SparkContext._gateway
gateway.proc.kill()
gateway.proc.wait()
print(before, [translated(one, "t").code for one in left_by_it])
os._exit(0)
"""


def test_whatever_a_jvm_leaves_when_it_dies_in_the_middle_of_an_answer_means_that_it_is_lost() -> None:
    """Py4J wraps what it meets, and the rows of a job come by a socket of their own: now and then a trial was told as failed."""
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=200, check=True)
    said = done.stdout.strip().splitlines()[-1]
    assert said == "[None, None, 'engines.spark-failed'] ['engines.spark-lost', 'engines.spark-lost', 'engines.spark-lost']"
