"""A small environment, a recipe and the command line against the emulated account."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.csv as pacsv
import pytest
from tests.servers.aws import BUCKET, Account, aws, aws_account, aws_server
from tests.servers.between import Between, between
from tests.story.conftest import QUICK, Said, bank_like

from filon.places.emr.settings import EmrSettings

__all__ = ["aws", "aws_account"]

RECIPE = """name = "bank"
[data]
source = "s3://mine/data/bank.csv"
label = "deposit"
positive = "yes"
key = ["customer"]
"""


FAKE_SUBMIT = """#!/bin/sh
# a spark-submit that trains nothing: it notes that it ran, in `ran` beside its SPARK_HOME
for word in "$@"; do case "$word" in s3://*/jobs/*) job=$word;; esac; done
echo "$job" >> "$(dirname "$0")/../../ran"
echo "26/11/22 06:00:00 INFO a fake driver of $job" >&2
if [ -e "$(dirname "$0")/../../fail" ]; then exit 1; fi
if [ -e "$(dirname "$0")/../../yarn" ]; then setsid PYTHON "$(dirname "$0")/driver.py" "$@" & exec sleep 300; fi
if [ -e "$(dirname "$0")/../../slow" ]; then exec sleep 300; fi
"""

YARN_DRIVER = """
# the driver as YARN has it: no child of spark-submit, so that the end of the step is not its own; it runs the job's own side for good
import os, runpy, sys, time
import filon.cli.group
filon.cli.group.run = lambda words: time.sleep(300) or 0
at = next(position for position, word in enumerate(sys.argv) if word.endswith("on_cluster.py"))
sys.argv = sys.argv[at:]
with open(os.path.join(os.path.dirname(__file__), "..", "..", "drivers"), "a") as out:
    out.write(f"{os.getpid()}\\n")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def fake_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A server whose steps are a shell script: for what is about submission, not about training. It counts its runs in `ran`."""
    folder = tmp_path_factory.mktemp("fake-aws")
    program = folder / "spark" / "bin" / "spark-submit"
    program.parent.mkdir(parents=True)
    program.write_text(FAKE_SUBMIT.replace("PYTHON", sys.executable), encoding="utf-8")
    (program.parent / "driver.py").write_text(YARN_DRIVER, encoding="utf-8")
    program.chmod(0o755)
    with aws_server(folder, SPARK_HOME=str(folder / "spark")) as account:
        yield account


@pytest.fixture(scope="session")
def stub_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of one file: the lane's Python is this one, with all it has (the real one takes minutes to build)."""
    file = tmp_path_factory.mktemp("archive") / "stub.tar.gz"
    text = f'#!/bin/sh\nexec {sys.executable} "$@"\n'.encode()
    with tarfile.open(file, "w:gz") as packed:
        entry = tarfile.TarInfo("bin/python")
        entry.size, entry.mode = len(text), 0o755
        packed.addfile(entry, io.BytesIO(text))
    return file


@pytest.fixture
def project(tmp_path: Path, aws: Account, stub_archive: Path) -> Path:
    """A folder with a recipe for the emulated EMR; its table is in the bucket."""
    pacsv.write_csv(bank_like(1200), tmp_path / "bank.csv")
    aws.put("data/bank.csv", (tmp_path / "bank.csv").read_bytes())
    place = f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://{BUCKET}/filon"\narchive = "{stub_archive}"\n'
    (tmp_path / "filon.toml").write_text(RECIPE + QUICK + "[track]\nenabled = false\n" + place, encoding="utf-8")
    return tmp_path


@pytest.fixture
def filon(project: Path, aws: Account) -> Callable[..., Said]:
    """Run `filon WORDS` in the project's folder, against the emulated account."""

    def run(*words: str, timeout: float = 300, **env: str) -> Said:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_",))}
        done = subprocess.run(
            [sys.executable, "-m", "filon", *words],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**kept, "COLUMNS": "120", **env},
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def account(fake_account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    """An empty account and an empty ledger; nothing of the machine's own AWS set-up."""
    fake_account.reset()
    for name, value in fake_account.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FILON_HOME", str(tmp_path / "home"))
    fake_account.put("data/bank.csv", b"a,deposit\n1,yes\n")
    (fake_account.folder / "ran").write_text("")
    return fake_account


@pytest.fixture
def proxy(account: Account) -> Iterator[Between]:
    with between(account.endpoint) as one:
        yield one


@pytest.fixture
def settings(stub_archive: Path) -> EmrSettings:
    return EmrSettings(region="us-east-1", bucket=f"s3://{BUCKET}/filon", archive=str(stub_archive))


@pytest.fixture
def slow(account: Account) -> Iterator[None]:
    """Steps take five minutes."""
    (account.folder / "slow").touch()
    yield
    (account.folder / "slow").unlink()
