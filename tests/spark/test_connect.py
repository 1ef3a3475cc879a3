"""Spark Connect, against a real server: everything but what needs a driver of one's own."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.servers.spark_connect import spark_connect
from tests.unit.package.conftest import rows, seal

import filon
from filon.engines.spark.voice import SILENCE_S

pytestmark = [pytest.mark.spark, pytest.mark.slow]

RECIPE = """
name = "remote"
[data]
source = "t.parquet"
label = "label"
key = ["customer"]
[search.xgboost]
num_round = 8
max_depth = [2, 3]
[track]
enabled = false
[places.spark]
master = "{address}"
"""


def environment(folder: Path) -> None:
    """An archive as `filon package-env` makes it, as far as Spark looks at it: bin/python, here a script that tells it was used."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\ntouch {folder}/used\nexec {sys.executable} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with tarfile.open(folder / "python.tar.gz", "w:gz") as archive:
        archive.add(script, "bin/python")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("connect")
    seal(folder / "made", "xgboost", derived=True)
    pq.write_table(rows(1200, seed=3), folder / "t.parquet")
    environment(folder)
    with spark_connect(folder / "server") as address:
        (folder / "recipe.toml").write_text(RECIPE.format(address=address))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "JAVA_"))}
        words = [sys.executable, "-m", "tests.spark.connecting", address, str(folder)]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(words, env={**kept, "PATH": "/nowhere"}, cwd=root, capture_output=True, text=True, timeout=550, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return {**json.loads(done.stdout.splitlines()[-1]), "folder": folder}


def test_function_of_spark_answers_over_connect_as_the_bundle(seen: dict[str, Any]) -> None:
    truth = filon.load(seen["folder"] / "made" / "bundle").predict(rows(1200, seed=3).to_pandas()).iloc[:, 2].to_numpy()
    np.testing.assert_allclose(seen["udf"], truth, atol=1e-6)
    assert seen["sql"] == seen["udf"]


def test_session_that_was_there_is_used_and_left_alone(seen: dict[str, Any]) -> None:
    here = filon.evaluate(seen["folder"] / "made" / "bundle", str(seen["folder"] / "t.parquet"), out=seen["folder"] / "here")
    assert seen["auc"] == pytest.approx(here.metrics["metrics"]["areaUnderROC"], abs=1e-9)
    assert seen["still"] == 3


def test_training_over_connect_is_the_embedded_engines(seen: dict[str, Any]) -> None:
    here = filon.train(seen["folder"] / "recipe.toml", runs=seen["folder"] / "runs-here")
    there = Path(seen["run"])
    assert (there / "bundle" / "model.ubj").read_bytes() == (here.path / "bundle" / "model.ubj").read_bytes()
    assert json.loads((there / "manifest.json").read_text())["folds"] == json.loads((here.path / "manifest.json").read_text())["folds"]
    assert "Connect" in json.loads((there / "spark.json").read_text())["held_back"]
    assert seen["longest silence"] < SILENCE_S + 5  # law 8; the rest is for a machine that is busy with other tests


def test_workers_take_the_environment_that_is_sent_to_them(seen: dict[str, Any]) -> None:
    assert seen["environment"]
    assert seen["written"] == [1200, 1200]
    there = pd.read_parquet(seen["folder"] / "scored.parquet")
    here = filon.predict(seen["folder"] / "made" / "bundle", str(seen["folder"] / "t.parquet"), str(seen["folder"] / "here.parquet"))
    assert here.scored == len(there)


def test_what_connect_cannot_is_told_in_time(seen: dict[str, Any]) -> None:
    assert seen["stream"][0] == "engines.connect-lacks"
    assert seen["work"][0] == "engines.work-not-shared"
