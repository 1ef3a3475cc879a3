"""Faults that are not in the data: a full disk, a folder that cannot be written, no MLflow server, a reader that goes away."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from .conftest import COMMAND, QUICK, RECIPE, bank_like, environment

pytestmark = [pytest.mark.story, pytest.mark.slow]


FULL = ("run.disk-full", "engines.disk-too-small", "engines.scratch-full", "read.scratch-full", "package.not-writable")
"""What a full disk is told as, by whoever writes."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with six mebibytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk: the full disk is not tried here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    """Fill a disk until only so many bytes are free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * max(0, free - leave_bytes))
    return ballast


@pytest.mark.parametrize("leave_kib", [0, 40, 300, 700])
def test_a_full_disk_is_named_and_the_run_resumes_once_there_is_space(filon, bank, small_disk, leave_kib):
    ballast = fill(small_disk, leave_kib * 1024)
    said = filon("train", "--runs", str(small_disk / "runs"), "--json")
    assert said.code == 4, said.out[-1500:] + said.err
    error = said.result["error"]
    assert error["code"] in (*FULL, "run.not-writable"), error
    assert "Traceback" not in said.out + said.err
    ballast.unlink()
    started = list((small_disk / "runs").glob("bank/*/manifest.json"))
    said = filon("train", "--runs", str(small_disk / "runs"), *(["--resume"] if started else []))
    assert said.code == 0, said.out + said.err
    (bundle,) = (small_disk / "runs").glob("bank/*/bundle/bundle.json")
    assert bundle.exists()
    assert [path.name for path in small_disk.rglob("*.tmp")] == []


def test_files_that_may_not_grow_are_told_as_a_full_disk_and_the_run_resumes(filon, bank):
    """Without the right to mount a disk: the system's limit to the size of a file (RLIMIT_FSIZE) stops writers at the same places."""
    for most in (1 << 10, 30 << 10, 75 << 10):  # the manifest, the profile page, a trial's model
        words = ["prlimit", f"--fsize={most}", *COMMAND, "train", "--json"]
        done = subprocess.run(words, cwd=bank, capture_output=True, text=True, env=environment(), check=False, timeout=120)
        assert done.returncode == 4, (most, done.stdout[-1500:] + done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] in FULL
        assert [path.name for path in bank.rglob("*.tmp")] == []
    assert not list(bank.glob("runs/bank/*/bundle"))
    said = filon("train", "--resume")
    assert said.code == 0, said.out + said.err
    assert len(list(bank.glob("runs/bank/*/bundle/bundle.json"))) == 1


def test_scored_rows_on_a_full_disk_leave_no_half_written_output(filon, bank, small_disk):
    assert filon("train").code == 0
    (bundle,) = bank.glob("runs/bank/*/bundle")
    pacsv.write_csv(bank_like(200_000, seed=5), bank / "big.csv")
    ballast = fill(small_disk, 200 * 1024)
    said = filon("predict", str(bundle), "--data", "big.csv", "--out", str(small_disk / "scored.csv"), "--json")
    assert said.code == 4, said.out[-1500:] + said.err
    assert [path.name for path in small_disk.iterdir() if path != ballast] == []


def test_without_an_mlflow_server_training_goes_on_and_the_records_wait(filon, bank):
    recipe = (RECIPE + QUICK + '[track]\nuri = "http://127.0.0.1:9"\n').replace("[search.logistic_regression]\n", "")
    (bank / "filon.toml").write_text(recipe, encoding="utf-8")
    assert filon("train").code == 0
    said = filon("track", "latest", "--json", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert said.code == 4, said.out + said.err
    assert said.result["error"]["code"].startswith("track.")
    (bank / "filon.toml").write_text(recipe.replace("http://127.0.0.1:9", "sqlite:///mlflow.db"), encoding="utf-8")
    run = json.loads(filon("runs", "--json").out.splitlines()[-1])["result"][0]
    assert run["state"] == "done"


def test_a_folder_that_cannot_be_written_is_told(filon, bank):
    (bank / "file").write_text("in the way")
    said = filon("train", "--runs", "file/runs", "--json")
    assert said.code == 4
    assert said.result["error"]["code"] == "run.not-writable"


def test_a_reader_that_goes_away_is_no_error(filon, bank):
    done = subprocess.run(
        f"{' '.join(COMMAND)} check | head -2",
        shell=True,
        cwd=bank,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
