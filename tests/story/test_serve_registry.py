"""A server that follows an alias of a real MLflow registry."""

import contextlib
import http.client
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.mlflow import Server as Mlflow
from tests.servers.mlflow import mlflow_server, tracking_database
from tests.story.test_serve import Start, children, records, sealed, start

from filon.package import Bundle
from filon.track.registry import Registry
from filon.track.settings import TrackSettings

__all__ = ["mlflow_server", "records", "sealed", "start", "tracking_database"]
pytestmark = [pytest.mark.story, pytest.mark.server, pytest.mark.slow]


def registered(registry: Registry, folder: Path) -> str:
    """A version with that folder's files, as another machine's Filon would have registered it."""
    client = registry._client
    experiment = client.get_experiment_by_name("served")
    number = experiment.experiment_id if experiment else client.create_experiment("served")
    run = client.create_run(number).info.run_id
    client.log_artifacts(run, str(folder), "bundle")
    if not client.search_registered_models("name = 'served'"):
        client.create_registered_model("served")
    return str(client.create_model_version("served", f"runs:/{run}/bundle", run).version)


def answered(server: object, record: dict, version: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while server.ask("POST", "/invocations", record)[1]["model"]["version"] != version:
        assert time.monotonic() < end
        time.sleep(0.2)


class Load:
    """Clients that ask on and on, each on a connection that is kept; `heard` is the version that answered, or what went wrong."""

    def __init__(self, port: int, record: dict, clients: int = 3) -> None:
        self.port, self.body = port, json.dumps(record).encode()
        self.heard: list[str] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(line):
            while not self.over.is_set():
                try:
                    line.request("POST", "/invocations", self.body, {"content-type": "application/json"})
                    answer = line.getresponse()
                    told = json.loads(answer.read())
                    self.heard.append(told["model"]["version"] if answer.status == 200 else f"status {answer.status}")
                except (OSError, http.client.HTTPException) as exc:
                    self.heard.append(type(exc).__name__)
                    line.close()
                time.sleep(0.005)

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_an_alias_is_followed_a_bad_version_is_refused_and_a_registry_that_is_away_changes_nothing(
    start: Start, sealed: Callable[..., Bundle], records: list[dict], mlflow_server: Mlflow, tmp_path: Path
) -> None:
    registry = Registry(TrackSettings(uri=mlflow_server.uri), tmp_path, "served")
    first, second = sealed().path, sealed("gbt").path
    registry.point("champion", registry.version(registered(registry, first)), {"why": "first"})
    words = ["--registry", mlflow_server.uri, "--watch", "1s", "--workers", "2", "--models", "shelf"]
    server = start(Path("models:/served@champion"), *words)
    answered(server, records[0], sealed().version)
    number = registered(registry, second)
    with Load(server.port, records[0]) as load:
        registry.point("champion", registry.version(number), {"why": "second"})
        answered(server, records[0], sealed("gbt").version)
        time.sleep(1)  # the other worker follows within half a second
    assert set(load.heard) == {sealed().version, sealed("gbt").version}  # no request was refused, none was lost
    assert load.heard.count(sealed().version) > 10 < load.heard.count(sealed("gbt").version)
    assert set(load.heard[-10:]) == {sealed("gbt").version}

    broken = tmp_path / "broken"
    shutil.copytree(first, broken)
    data = bytearray((broken / "model.ubj").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "model.ubj").write_bytes(bytes(data))
    registry.point("champion", registry.version(registered(registry, broken)), {"why": "broken on the way"})
    end = time.monotonic() + 90
    while "filon_registry_refused_total 1" not in server.ask("GET", "/metrics")[1]["text"]:
        assert time.monotonic() < end
        time.sleep(0.5)
    answered(server, records[0], sealed("gbt").version)
    assert not (tmp_path / "shelf" / "served-v3").exists()
    pids = (server.process.pid, *children(server.process.pid))
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not any("sqlalchemy" in text or "mlflow" in text for text in maps)
    code, said = server.stop()
    assert code == 0
    assert "version 3 is not put in service" in said


def test_with_the_registry_away_the_last_version_is_served_again(
    start: Start, sealed: Callable[..., Bundle], records: list[dict], tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copytree(sealed().path, shelf / "served-v7")
    (shelf / ".served@champion.json").write_text(json.dumps({"version": "7", "folder": "served-v7"}))
    words = ["--registry", "http://127.0.0.1:9", "--watch", "1s", "--models", "shelf"]
    server = start(Path("models:/served@champion"), *words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    time.sleep(3)
    answered(server, records[0], sealed().version)
    assert "filon_registry_failed_total 0" not in server.ask("GET", "/metrics")[1]["text"]
    code, said = server.stop()
    assert code == 0
    assert said.count("the registry cannot be followed") == 1
