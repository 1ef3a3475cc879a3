"""`filon ui`: what is missing is named, and what waits is sent first."""

import http.server
import importlib.metadata
import json
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.track.conftest import RunFolder

from filon.errors import SetupError
from filon.events import Event
from filon.track import open_ui
from filon.track.state import read_state, write_state

NewRun = Callable[..., RunFolder]


def _has_mlflow() -> bool:
    try:
        importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture
def some_server() -> Iterator[int]:
    """A web server that is not MLflow; gives its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one.server_address[1]
        one.shutdown()
        thread.join()


@pytest.mark.skipif(_has_mlflow(), reason="the whole MLflow is installed here")
def test_without_the_whole_mlflow_the_extra_is_named(new_run: NewRun) -> None:
    run = new_run()
    run.end()
    with pytest.raises(SetupError) as caught:
        open_ui(run.path.parents[1], browser=False)
    assert caught.value.code == "track.ui-missing"
    assert "filon[ui]" in caught.value.fix


def test_a_server_is_opened_where_it_is(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run("http://me:secret@127.0.0.1:9")
    run.end()
    write_state(run.path, "sent")
    opened: list[str] = []
    heard: list[Event] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    open_ui(run.path.parents[1], listen=heard.append)
    assert opened == ["http://me:secret@127.0.0.1:9"]  # pragma: allowlist secret
    assert not any("secret" in event.text for event in heard)


def test_records_that_wait_are_tried_first_and_a_failure_does_not_hide_the_page(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")
    run.end()
    heard: list[str] = []
    open_ui(run.path.parents[1], browser=False, listen=lambda event: heard.append(event.text))
    assert read_state(run.path)["error"]["code"] == "track.server-away"
    assert any("still waits" in text for text in heard)
    assert heard[-1] == "MLflow is at http://127.0.0.1:9"


def test_an_empty_folder_has_nothing_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.track.ui._full_mlflow", lambda: "3.17.2")
    (tmp_path / "runs").mkdir()
    with pytest.raises(SetupError) as caught:
        open_ui(tmp_path / "runs", browser=False)
    assert caught.value.code == "track.nothing-to-show"


def test_a_port_in_use_is_told_with_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, some_server: int) -> None:
    monkeypatch.setattr("filon.track.ui._full_mlflow", lambda: "3.17.2")
    (tmp_path / "runs").mkdir()
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(SetupError) as caught:
        open_ui(tmp_path / "runs", port=some_server, browser=False)
    assert caught.value.code == "track.port-taken"
    assert f"--port {some_server + 1}" in caught.value.fix


LOUD = """#!{python}
import http.server, json, os, pathlib, sys

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sys.stderr.write("x" * 1000000)  # more than any pipe holds
        sys.stderr.flush()
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

heard = {{"words": sys.argv[1:], "uri": os.environ.get("MLFLOW_BACKEND_STORE_URI")}}
pathlib.Path("{seen}").write_text(json.dumps(heard))
if "{fails}":
    sys.exit("the database sqlite:///x.db is of another MLflow, http://me:hunter2@host")  # pragma: allowlist secret
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Page)
server.handle_request()  # is it ready?
server.handle_request()  # the page itself
"""


@pytest.fixture
def mlflow_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """In the place of `python -m mlflow server` a program that says a lot; gives the port it will take."""

    def make(fails: str = "") -> int:
        program = tmp_path / "python"
        program.write_text(LOUD.format(python=sys.executable, seen=tmp_path / "seen.json", fails=fails), encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr("filon.track.ui._full_mlflow", lambda: "3.17.2")
        monkeypatch.setattr("filon.track.ui.sys.executable", str(program))
        (tmp_path / "runs").mkdir()
        (tmp_path / "mlflow.db").touch()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return int(free.getsockname()[1])

    return make


def test_a_server_that_says_a_lot_does_not_freeze_and_its_address_is_in_no_command_line(
    mlflow_page: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int] = []
    monkeypatch.setattr("webbrowser.open", lambda url: answers.append(urllib.request.urlopen(url, timeout=30).status))
    open_ui(tmp_path / "runs", port=mlflow_page())
    assert answers == [200]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["uri"] == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert not any("sqlite" in word for word in seen["words"])


def test_a_server_that_does_not_start_is_told_in_its_own_last_words(mlflow_page: Callable[[str], int], tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        open_ui(tmp_path / "runs", port=mlflow_page("fails"), browser=False)
    assert caught.value.code == "track.ui-failed"
    assert "is of another MLflow, http://me:***@host" in caught.value.why
