"""Against a real MLflow server on PostgreSQL: live, away, and a sender killed with -9 at any point."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers import mlflow as servers
from tests.servers.mlflow import Server, mlflow_server, tracking_database  # noqa: F401 : fixtures
from tests.unit.package.conftest import seal
from tests.unit.track.conftest import RunFolder, assert_mlflow_answers_as_the_bundle
from tests.unit.track.test_sending import client_of, runs_of

from filon.errors import SetupError
from filon.track import send, start
from filon.track.state import read_state

NewRun = Callable[..., RunFolder]
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(tmp_path_factory.mktemp("sealed"), "gbt").path


def versions_of(client: Any, name: str) -> int:
    return len(client.search_model_versions(f"name = '{name}'"))


def test_a_run_reaches_the_server_and_its_model_loads(
    new_run: NewRun,
    mlflow_server: Server,  # noqa: F811
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = new_run(mlflow_server.uri, name="whole")
    run.add_trials(1, 2, 3, 4, 5)
    run.end(bundle=bundle)
    sent = send(run.path)
    assert capsys.readouterr().out == ""  # `--json` owns the standard output
    client = client_of(run)
    runs = {one.data.tags["filon.trial"]: one for one in runs_of(client, "whole")}
    assert len(runs) == 6
    assert runs["0"].data.metrics["auc"] == 0.8
    assert client.get_model_version("whole", "1").run_id == sent.mlflow_run_id
    assert_mlflow_answers_as_the_bundle(mlflow_server.uri, "models:/whole/1", bundle, tmp_path)


def test_a_live_run_is_seen_on_the_server_before_it_ends(new_run: NewRun, mlflow_server: Server) -> None:  # noqa: F811
    import fcntl

    run = new_run(mlflow_server.uri, name="live")
    lock = (run.path / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    start(run.path)
    run.add_trials(1, 2)
    until(lambda: read_state(run.path).get("trials") == 2)
    runs = {one.data.tags["filon.trial"]: one for one in runs_of(client_of(run), "live")}
    assert set(runs) == {"0", "1", "2"}
    assert runs["0"].info.status == "RUNNING"
    run.add_trials(3, 4, 5)
    run.end()
    lock.close()
    until(lambda: read_state(run.path)["state"] == "sent")
    assert {one.info.status for one in runs_of(client_of(run), "live")} == {"FINISHED", "FAILED"}  # trial 3 failed
    assert len(runs_of(client_of(run), "live")) == 6


def test_a_server_that_was_away_gets_everything_later(new_run: NewRun, tracking_database: int, bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    port = servers.free_port()
    run = new_run(f"http://127.0.0.1:{port}", name="away")
    run.add_trials(1, 2, 3)
    run.end(bundle=bundle)
    process = start(run.path)
    until(lambda: read_state(run.path).get("error", {}).get("code") == "track.server-away")
    os.kill(process, signal.SIGTERM)
    with pytest.raises(SetupError, match="does not answer"):
        send(run.path)
    with servers.server(tmp_path / "server", tracking_database, port):
        send(run.path)
        client = client_of(run)
        assert len(runs_of(client, "away")) == 4
        assert versions_of(client, "away") == 1
        assert read_state(run.path)["state"] == "sent"


SEND = "import sys; from filon.track import send; send(sys.argv[1], lambda event: print(event.text, flush=True))"


def test_a_sender_killed_anywhere_and_sent_again_doubles_nothing(new_run: NewRun, mlflow_server: Server, bundle: Path) -> None:  # noqa: F811
    run = new_run(mlflow_server.uri, name="killed")
    run.add_trials(1, 2, 3, 4, 5)
    run.end(bundle=bundle)
    for word, after_s in [
        ("opening", 2.5),
        ("trial 2", 0.0),
        ("trial 4", 0.02),
        ("file 1", 0.0),
        ("the bundle", 0.01),
        ("registering", 0.03),
    ]:
        with subprocess.Popen([sys.executable, "-c", SEND, str(run.path)], stdout=subprocess.PIPE, text=True) as sender:
            assert sender.stdout is not None
            for line in sender.stdout:
                if line.startswith(word):
                    time.sleep(after_s)
                    sender.send_signal(signal.SIGKILL)
                    break
    sent = send(run.path)
    client = client_of(run)
    assert len(runs_of(client, "killed")) == 6
    assert versions_of(client, "killed") == 1
    parent = client.get_run(sent.mlflow_run_id)
    assert parent.info.status == "FINISHED"
    assert len(client.get_metric_history(sent.mlflow_run_id, "auc")) == 1
    for child in runs_of(client, "killed"):
        if child.data.tags["filon.trial"] == "5":
            assert len(client.get_metric_history(child.info.run_id, "curve_valid_aucpr")) == 50
    assert send(run.path) == sent
    assert len(runs_of(client, "killed")) == 6


def test_the_page_opens_on_a_local_database(new_run: NewRun, mlflow_server: Server, tmp_path: Path) -> None:  # noqa: F811
    import urllib.request

    run = new_run(name="page")
    run.add_trials(1)
    run.end()
    port = servers.free_port()
    words = [mlflow_server.python, "-c", OPEN, str(run.path.parents[1]), str(port)]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, cwd=tmp_path, **said) as page:
        assert page.stdout is not None
        heard = []
        for line in page.stdout:
            heard.append(line)
            if "Ctrl-C" in line:
                break
        assert any(f"http://127.0.0.1:{port}" in line for line in heard), heard
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as found:
            assert b"MLflow" in found.read()
        page.send_signal(signal.SIGINT)
        try:
            assert page.wait(30) == 0
        finally:
            page.kill()
    assert read_state(run.path)["state"] == "sent"


OPEN = """
import sys
from filon.track import open_ui
open_ui(sys.argv[1], port=int(sys.argv[2]), browser=False, listen=lambda event: print(event.text, flush=True))
"""


def until(true: Callable[[], bool], most_s: float = 180.0) -> None:
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.2)
