"""A run is followed by a process of its own, which never keeps the training waiting and gives up in bounded time."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.track.conftest import RunFolder

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


def test_nothing_is_sent_before_there_is_something_to_say(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")
    lock = (run.path / ".lock").open("w")
    import fcntl

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
    import fcntl

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
