"""A run is followed by a process of its own, which never keeps the training waiting and gives up in bounded time."""

import fcntl
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.track.conftest import RunFolder

from filon.errors import SetupError
from filon.events import Event, silence
from filon.track import follow, waiting
from filon.track.following import LAST_TRIES
from filon.track.state import only_sender, read_state

NewRun = Callable[..., RunFolder]

START = """
import sys, time
began = time.perf_counter()
from filon.track import start
imported = time.perf_counter()
process = start(sys.argv[1])
print(process, time.perf_counter() - imported, "mlflow" in sys.modules, "xgboost" in sys.modules)
"""


def test_starting_a_sender_costs_the_training_neither_time_nor_an_import(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")
    run.end("stopped")
    said = subprocess.run([sys.executable, "-c", START, str(run.path)], capture_output=True, text=True, check=True).stdout.split()
    process, seconds, mlflow, xgboost = int(said[0]), float(said[1]), said[2], said[3]
    assert (mlflow, xgboost) == ("False", "False")
    assert seconds < 1.0
    subprocess.run(["kill", str(process)], check=True)


def test_a_server_that_stays_away_is_given_up_in_the_end_and_told(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")
    run.add_trials(1)
    run.end()
    pauses: list[float] = []
    heard: list[str] = []

    def hear(event: Event) -> None:
        heard.append(event.text)

    assert not follow(run.path, hear, pauses.append)
    assert len(pauses) == LAST_TRIES - 1
    assert pauses == sorted(pauses)  # each pause is longer than the one before
    assert any("track.server-away" in text for text in heard)
    state = read_state(run.path)
    assert (state["state"], state["tries"]) == ("waiting", LAST_TRIES)
    assert waiting(run.path)


def test_a_password_is_in_no_record_of_a_sending_that_fails(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILON_TEST_USER", "token-of-ours")
    monkeypatch.setenv("FILON_TEST_WORD", "pass/wo@rd")  # as nobody escaped it: MLflow then takes "pass" for the port, and quotes it
    for uri in (
        "http://me:${FILON_TEST_WORD}@127.0.0.1:9",
        "http://${FILON_TEST_USER}@127.0.0.1:9",
        "postgresql://a:${FILON_TEST_WORD}@h/d",
    ):
        run = new_run(uri, name=f"run-{abs(hash(uri))}")
        run.end()
        heard: list[str] = []
        assert not follow(run.path, lambda event, heard=heard: heard.append(event.text), lambda _: None)  # type: ignore[misc]
        said = "\n".join([*heard, (run.path / "track.json").read_text()])
        assert "error" in said
        assert not re.search(r"pass|wo@rd|token-of-ours", said), said


@pytest.fixture
def server_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, and no seconds to find that out."""
    from filon.track import following

    def away(*_: object) -> object:
        raise SetupError("track.server-away", "MLflow does not answer", "", "")

    monkeypatch.setattr(following, "_sender", away)


@pytest.mark.usefixtures("server_away")
def test_failures_during_the_run_use_up_no_try_after_its_end(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")
    run.add_trials(1)
    lock = (run.path / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == LAST_TRIES + 3:
            run.end()

    assert not follow(run.path, silence, pause)
    lock.close()
    assert len(pauses) == LAST_TRIES + 3 + LAST_TRIES - 1
    assert read_state(run.path)["tries"] == LAST_TRIES


@pytest.mark.usefixtures("server_away")
def test_a_server_that_is_away_for_days_is_still_asked_every_half_minute(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from filon.track import following

    monkeypatch.setattr(following, "write_state", lambda *_, **__: None)  # a thousand flushes to the disk are not the matter
    run = new_run("http://127.0.0.1:9")
    run.add_trials(1)
    lock = (run.path / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1100:  # two to that power is no float
            run.end()

    assert not follow(run.path, silence, pause)
    lock.close()
    assert max(pauses) == following.LONGEST_PAUSE_S


def test_nothing_is_sent_before_there_is_something_to_say(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")
    lock = (run.path / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    looks: list[str] = []

    def pause(_: float) -> None:
        looks.append(read_state(run.path)["state"])
        if len(looks) == 3:
            run.end("failed")

    follow(run.path, silence, pause)
    lock.close()
    assert looks[:3] == ["following"] * 3  # not one try while the run had no trial


def test_a_second_follower_leaves_at_once(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from filon.track import following

    run = new_run("http://127.0.0.1:9")
    monkeypatch.setattr(following, "LONGEST_PAUSE_S", 0.2)
    with only_sender(run.path, silence, wait_s=0.0):
        assert following.main([str(run.path)]) == 0


def test_a_run_that_does_not_track_never_waits(new_run: NewRun) -> None:
    run = new_run(enabled=False)
    run.end()
    assert not waiting(run.path)


@pytest.mark.slow
def test_the_process_follows_a_run_to_its_end_and_goes(new_run: NewRun, tmp_path: Path) -> None:
    from filon.track import start

    run = new_run()
    lock = (run.path / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    process = start(run.path)
    run.add_trials(1, 2)
    _until(lambda: read_state(run.path).get("trials") == 2)
    run.add_trials(3)
    _until(lambda: read_state(run.path).get("trials") == 3)
    assert read_state(run.path)["state"] == "following"
    run.end()
    lock.close()
    _until(lambda: read_state(run.path)["state"] == "sent")
    _until(lambda: not Path(f"/proc/{process}/cmdline").exists() or not Path(f"/proc/{process}/cmdline").read_bytes())
    assert (tmp_path / "mlflow.db").exists()
    assert "all records are sent" in (run.path / "track.log").read_text()


def _until(true: Callable[[], bool], most_s: float = 120.0) -> None:
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.2)
