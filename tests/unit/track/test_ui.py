"""`filon ui`: what is missing is named, and what waits is sent first."""

import http.server
import importlib.metadata
import threading
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
