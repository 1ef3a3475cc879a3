"""An alias of the registry, looked at by plain HTTP; what goes wrong leaves what is in service."""

import errno
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from filon.errors import BundleError, SetupError
from filon.package import Bundle, open_bundle
from filon.registry import fetching
from filon.serve import following
from filon.serve.following import Follower, first, pointed
from filon.serve.meters import PLACES
from filon.serve.settings import Followed, ServeSettings


class Registry:
    """As much of MLflow as is asked: the version of an alias."""

    def __init__(self) -> None:
        self.version, self.status, self.asked = "1", 200, []
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                here.asked.append((self.path, self.headers.get("Authorization")))
                if here.status == 0:
                    self.wfile.write(b"no HTTP at all\r\n\r\n")
                    return
                body = json.dumps({"model_version": {"version": here.version}} if here.status == 200 else {"error_code": "NO"}).encode()
                self.send_response(here.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def registry() -> Iterator[Registry]:
    one = Registry()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def follower(registry: Registry, tmp_path: Path) -> Follower:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "state").mkdir()
    return Follower(Followed(uri=registry.uri, name="bank", alias="champion", have="1"), tmp_path / "shelf", tmp_path / "state")


def plan(tmp_path: Path) -> dict:
    file = tmp_path / "state" / "plan.json"
    return json.loads(file.read_text()) if file.exists() else {}


def counted(follower: Follower, name: str) -> float:
    return follower.meters.values[PLACES[name]]


def test_the_alias_is_asked_for_as_mlflow_s_own_client_does(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of-nobody")  # pragma: allowlist secret
    assert pointed(Followed(uri=registry.uri, name="a b", alias="champion")) == "1"
    path, credentials = registry.asked[0]
    assert parse_qs(urlsplit(path).query) == {"name": ["a b"], "alias": ["champion"]}
    assert credentials.startswith("Basic ")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-ana")
    pointed(Followed(uri=registry.uri, name="bank", alias="champion"))
    assert registry.asked[1][1] == "Bearer of-ana"


def test_nothing_is_fetched_while_the_alias_stays(follower: Follower, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(following, "fetch", lambda *words: pytest.fail("fetched"))
    assert not follower.look()
    assert plan(tmp_path) == {}


def test_a_new_version_becomes_the_plan_and_the_challenger_stays(
    follower: Follower, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "state" / "plan.json").write_text(json.dumps({"champion": "bank-v1", "challenger": "other", "share": 0.1, "shadow": False}))
    monkeypatch.setattr(following, "fetch", lambda *words: {"version": "2", "folder": "bank-v2"})
    registry.version = "2"
    assert follower.look()
    assert plan(tmp_path) == {"champion": "bank-v2", "challenger": "other", "share": 0.1, "shadow": False}
    assert not follower.look()
    assert json.loads((tmp_path / "shelf" / ".bank@champion.json").read_text())["version"] == "2"


def test_a_version_that_does_not_prove_itself_is_asked_for_once(
    follower: Follower, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = []

    def refuse(*words: object) -> dict[str, str]:
        tries.append(words)
        raise BundleError("serve.bundle-refused", "it does not answer its golden rows", "row 3", "send it again")

    monkeypatch.setattr(following, "fetch", refuse)
    registry.version = "2"
    for _ in range(3):
        assert not follower.look()
    assert (len(tries), counted(follower, "registry_refused"), plan(tmp_path)) == (1, 1, {})
    assert "version 1 stays" in capsys.readouterr().err
    for registry.version in ("1", "2"):  # away and back: the version may have been mended meanwhile
        follower.look()
    assert len(tries) == 2
    monkeypatch.setattr(following, "fetch", lambda *words: {"version": "3", "folder": "bank-v3"})
    registry.version = "3"
    assert follower.look()


@pytest.mark.parametrize("status", [503, 404, 0])
def test_a_registry_in_trouble_is_said_once_and_counted(
    follower: Follower, registry: Registry, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.status = status
    for _ in range(3):
        assert not follower.look()
    assert counted(follower, "registry_failed") == 3
    assert capsys.readouterr().err.count("cannot be followed") == 1
    registry.status = 200
    follower.look()
    assert "followed again" in capsys.readouterr().err
    assert plan(tmp_path) == {}


def test_a_full_disk_does_not_end_the_following(
    follower: Follower, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(following, "fetch", lambda *words: {"version": "2", "folder": "bank-v2"})
    monkeypatch.setattr(follower, "followed", replace(follower.followed, every_s=0.02))
    registry.version = "2"
    with monkeypatch.context() as disk:
        disk.setattr(following, "write_atomic", full)
        follower.start()
        waited(lambda: counted(follower, "registry_failed") >= 2)
    waited(lambda: plan(tmp_path) == {"champion": "bank-v2"})
    follower.stop()
    follower.join()
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 1
    assert "version 2 takes the place of version 1" in said


def waited(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_refused_version_of_a_registry_without_a_server_is_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = """import json, pathlib, sys
words = json.loads(sys.argv[1])
with open(pathlib.Path(__file__).with_name("asked"), "a") as out:
    out.write("fetched " if "shelf" in words else "looked ")
error = {"family": "BundleError", "code": "serve.bundle-refused", "what": "it lies", "why": "row 3", "fix": "send it again"}
print(json.dumps({"error": error} if "shelf" in words else {"version": "2"}))
"""
    (tmp_path / "fetching_of_a_test.py").write_text(program)
    monkeypatch.setattr(following, "FETCH", "fetching_of_a_test")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    follower = Follower(Followed(uri="sqlite:///r.db", name="bank", alias="champion", have="1"), tmp_path, tmp_path)
    for _ in range(3):
        assert not follower.look()
    assert (tmp_path / "asked").read_text() == "looked fetched looked looked "
    assert counted(follower, "registry_refused") == 1


def test_a_program_that_ends_without_an_answer_is_told_by_its_last_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ends_of_a_test.py").write_text("import sys\nsys.exit('no room left')\n")
    monkeypatch.setattr(following, "FETCH", "ends_of_a_test")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SetupError, match="exit code 1: no room left"):
        following.fetch(Followed(uri="sqlite:///r.db", name="bank", alias="champion"), tmp_path)


def test_a_copy_on_the_shelf_that_was_damaged_is_fetched_again(sealed: Callable[..., Bundle], tmp_path: Path) -> None:
    asked: list[str] = []

    def copy(version: str, folder: Path) -> None:
        asked.append(version)
        shutil.copytree(sealed().path, folder)

    registry, folder = SimpleNamespace(copy=copy), tmp_path / "shelf" / "bank-v3"
    for _ in range(2):
        fetching._put(registry, "3", folder)
    assert asked == ["3"]
    (folder / "model.ubj").unlink()
    fetching._put(registry, "3", folder)
    assert asked == ["3", "3"]
    assert open_bundle(folder).version == sealed().version
    assert [path.name for path in folder.parent.iterdir()] == ["bank-v3"]


def test_a_start_without_the_registry_serves_what_was_served_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def away(*words: object) -> dict[str, str]:
        raise SetupError("track.server-away", "MLflow does not answer", "connection refused", "start it")

    monkeypatch.setattr(following, "fetch", away)
    settings, followed = ServeSettings(bundle="models:/bank@champion"), Followed(uri="http://x", name="bank", alias="champion")
    with pytest.raises(SetupError, match=r"track\.server-away"):
        first(settings, followed, tmp_path)
    (tmp_path / ".bank@champion.json").write_text(json.dumps({"version": "7", "folder": "bank-v7"}))
    begun = first(settings, followed, tmp_path)
    assert begun.bundle == str(tmp_path / "bank-v7")
    assert begun.followed.have == "7"


def test_the_supervisor_stays_small() -> None:
    names = ("numpy", "pyarrow", "uvicorn", "mlflow")
    code = f"import sys, filon.cli.serve, filon.serve.workers; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
