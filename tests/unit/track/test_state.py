"""One sender at a time, and a killed one leaves no lock behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from filon.errors import SetupError
from filon.events import silence
from filon.track.state import masked, only_sender, read_state, run_is_alive, write_state

HOLD = """
import sys, time, fcntl, os
handle = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def _holder(file: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_sender_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    with _holder(tmp_path / ".track.lock") as first:
        with pytest.raises(SetupError) as caught, only_sender(tmp_path, silence, wait_s=0.3):
            pass
        first.kill()
    assert caught.value.code == "track.busy"


def test_a_killed_sender_frees_its_lock(tmp_path: Path) -> None:
    with _holder(tmp_path / ".track.lock") as first:
        first.send_signal(signal.SIGKILL)
    with only_sender(tmp_path, silence, wait_s=0.0):
        pass


def test_a_run_is_alive_while_its_process_holds_it(tmp_path: Path) -> None:
    assert not run_is_alive(tmp_path)
    with _holder(tmp_path / ".lock") as run:
        assert run_is_alive(tmp_path)
        run.kill()
    assert not run_is_alive(tmp_path)


def test_the_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_state(tmp_path) == {}
    write_state(tmp_path, "waiting", tries=2)
    assert {"state": "waiting", "tries": 2}.items() <= read_state(tmp_path).items()
    assert [path.name for path in tmp_path.iterdir()] == ["track.json"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://server:5000", "http://server:5000"),
        ("postgresql+psycopg2://me:pass@host/db", "postgresql+psycopg2://me:***@host/db"),  # pragma: allowlist secret
    ],
)
def test_no_password_is_shown(uri: str, shown: str) -> None:
    assert masked(uri) == shown
