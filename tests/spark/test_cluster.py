"""`filon train --on spark` on a real standalone cluster: what happens there is heard here."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.servers.spark_cluster import CONF, Cluster, cluster, standalone
from tests.story.conftest import COMMAND, QUICK, RECIPE, Said, bank_like, environment

__all__ = ["cluster", "standalone"]
pytestmark = [pytest.mark.spark, pytest.mark.slow]

TIMEOUT_S = 300


def recipe(folder: Path, cluster: Cluster, more: str = "", **conf: str) -> Path:
    """A folder with bank.csv and a recipe of a few quick trials that may run on the cluster."""
    import pyarrow.csv as pacsv

    pacsv.write_csv(bank_like(1200), folder / "bank.csv")
    said = "".join(f'"{name}" = "{value}"\n' for name, value in {**CONF, **conf}.items())
    place = f'[places.spark]\nmaster = "{cluster.master}"\n{more}[places.spark.conf]\n{said}'
    (folder / "filon.toml").write_text(RECIPE + QUICK + "[track]\nenabled = false\n" + place, encoding="utf-8")
    return folder


def filon(folder: Path, *words: str, **env: str) -> Said:
    done = subprocess.run(
        [*COMMAND, *words], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(**env), check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_an_error_raised_on_the_cluster_comes_back_as_it_was_raised(tmp_path: Path, cluster: Cluster) -> None:
    folder = recipe(tmp_path, cluster)
    (folder / "bank.csv").unlink()
    here = filon(folder, "train", "--json")
    there = filon(folder, "train", "--json", "--on", "spark")
    assert there.code == here.code == 3
    assert there.result["error"] == here.result["error"]


def test_ctrl_c_ends_the_job_on_the_cluster(tmp_path: Path, cluster: Cluster) -> None:
    folder = recipe(tmp_path, cluster)
    words = [*COMMAND, "train", "--json", "--on", "spark", "--set", "search.xgboost.num_round=100000"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    end = time.monotonic() + 90
    while not cluster.busy() and time.monotonic() < end:
        time.sleep(0.2)
    assert cluster.busy()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out.strip().splitlines()[-1])["error"]["code"] == "run.interrupted"
    end = time.monotonic() + 30
    while cluster.busy() and time.monotonic() < end:
        time.sleep(0.2)
    assert not cluster.busy()
    (manifest,) = folder.glob("runs/bank/*/manifest.json")
    assert json.loads(manifest.read_text())["state"] == "failed"


def test_a_job_that_dies_without_a_word_shows_the_end_of_its_log(tmp_path: Path, cluster: Cluster) -> None:
    folder = recipe(tmp_path, cluster, **{"spark.driver.memory": "1k"})
    said = filon(folder, "train", "--json", "--on", "spark")
    assert said.code == 6
    assert said.result["error"]["code"] == "places.failed"
    assert Path(said.result["error"]["fix"].removeprefix("less ")).is_file()
