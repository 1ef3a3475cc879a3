"""The server as an operator meets it: a process, a port, signals."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.story.conftest import COMMAND, environment
from tests.unit.package.conftest import rows, sealed

from filon.package import Bundle

__all__ = ["sealed"]
pytestmark = pytest.mark.story


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    process: subprocess.Popen
    port: int

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with contextlib.closing(line):
            line.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
            heard = line.getresponse()
            text = heard.read()
        return heard.status, json.loads(text) if text[:1] in b"{[" else {"text": text.decode()}

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=40)
        return self.process.returncode, said


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(bundle, *words, **environment)`: a server on a free port."""
    begun: list[subprocess.Popen] = []

    def run(bundle: Path, *words: str, **env: str) -> Server:
        command = [*COMMAND, "serve", str(bundle), "--port", "0", "--json", *words]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**env))
        begun.append(process)
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.communicate(timeout=10)[1])
        return Server(process, urlsplit(json.loads(line)["result"]["url"]).port)

    yield run
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def records(sealed: Callable[..., Bundle]) -> list[dict]:
    return rows(20, seed=11).select([column.name for column in sealed().inputs]).to_pylist()


def test_a_server_answers_what_predict_answers_and_stops_without_a_word_when_told(start: Start, sealed: Callable[..., Bundle]) -> None:
    bundle = sealed(derived=True)  # DuckDB is at work: its wrapper would tell of leaks where a process ends as Python would end it
    records = rows(20, seed=11).select([column.name for column in bundle.inputs]).to_pylist()
    server = start(bundle.path)
    assert server.ask("GET", "/ping")[0] == server.ask("GET", "/readyz")[0] == 200
    status, heard = server.ask("POST", "/invocations", records, content_type="application/json")
    expected = bundle.predict(records, threads=1).column("probability_class 1").to_numpy()
    assert status == 200
    assert np.abs([row["probability"]["class 1"] for row in heard["predictions"]] - expected).max() <= 1e-6
    assert server.stop() == (0, "")


def test_requests_begun_before_sigterm_are_answered(start: Start, sealed: Callable[..., Bundle], records: list[dict]) -> None:
    server = start(sealed().path)
    body = json.dumps(records).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        head = f"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        line.sendall(head.encode() + body[:100])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        line.sendall(body[100:])
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 200")
    server.process.communicate(timeout=30)
    assert server.process.returncode == 0


def test_bad_clients_do_not_hold_the_server_up(start: Start, sealed: Callable[..., Bundle], records: list[dict]) -> None:
    server = start(sealed().path, "--timeout", "1", "--max-body", "1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        ended = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.1):
                    line.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert server.ask("POST", "/invocations", records[0])[0] == 200
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 408")
        ended.set()
        dripping.join()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 413")
    assert (
        server.ask("POST", "/invocations", b"\x1f\x8b\x08garbage", content_encoding="gzip")[1]["error"]["code"] == "serve.body-unreadable"
    )
    assert server.ask("POST", "/invocations", records[0])[0] == 200


def test_what_cannot_be_served_is_said_with_its_code(filon: Callable, sealed: Callable[..., Bundle], tmp_path: Path) -> None:
    assert "error[package.not-a-bundle]" in filon("serve", str(tmp_path), "--port", "0").err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = filon("serve", str(sealed().path), "--port", str(taken.getsockname()[1]))
    assert said.code == 4
    assert "error[serve.port-taken]" in said.err


def test_the_token_comes_from_the_environment(start: Start, sealed: Callable[..., Bundle], records: list[dict]) -> None:
    server = start(sealed().path, FILON_TOKEN="of-nobody")  # pragma: allowlist secret
    assert server.ask("POST", "/invocations", records[0])[0] == 401
    assert server.ask("POST", "/invocations", records[0], authorization="Bearer of-nobody")[0] == 200
    command = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    assert b"of-nobody" not in command


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_worker_comes_back_while_others_answer(
    start: Start, sealed: Callable[..., Bundle], records: list[dict], tmp_path: Path
) -> None:
    server = start(sealed().path, "--workers", "2", "--capture", "kept")
    first = children(server.process.pid)
    assert len(first) == 2
    answered = 0
    os.kill(first[0], signal.SIGKILL)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError, http.client.HTTPException):  # a request that the killed worker had taken is lost
            answered += server.ask("POST", "/invocations", records[0])[0] == 200
        now = children(server.process.pid)
        if len(now) == 2 and first[0] not in now and answered > 50:
            break
    assert answered > 50
    assert set(children(server.process.pid)) - set(first)
    status, heard = server.ask("GET", "/metrics")
    code, said = server.stop()
    assert (status, code) == (200, 0)
    assert f'filon_requests_total{{route="invocations",status="200"}} {answered}' in heard["text"]
    assert "killed by SIGKILL" in said
    kept = [line for file in (tmp_path / "kept").rglob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(kept) == answered
    assert not [pid for pid in first if Path(f"/proc/{pid}").exists()]


def test_workers_change_models_together_and_a_later_one_needs_no_earlier_bundle(
    start: Start, sealed: Callable[..., Bundle], records: list[dict], tmp_path: Path
) -> None:
    (tmp_path / "shelf").mkdir()
    for name, family in (("first", "xgboost"), ("second", "gbt")):
        shutil.copytree(sealed(family).path, tmp_path / "shelf" / name)
    server = start(tmp_path / "shelf" / "first", "--workers", "2", "--models", "shelf")
    assert server.ask("POST", "/models", {"champion": "second"}, content_type="application/json")[0] == 200
    version = sealed("gbt").version
    time.sleep(3)
    assert {server.ask("POST", "/invocations", records[0])[1]["model"]["version"] for _ in range(40)} == {version}
    shutil.rmtree(tmp_path / "shelf" / "first")  # as an operator does who needs the room
    old = children(server.process.pid)
    os.kill(old[0], signal.SIGKILL)
    os.kill(old[1], signal.SIGSTOP)  # so that only the new one can answer
    assert server.ask("POST", "/invocations", records[0])[1]["model"]["version"] == version
    os.kill(old[1], signal.SIGCONT)
    shutil.rmtree(tmp_path / "shelf")
    os.kill(old[1], signal.SIGKILL)
    time.sleep(4)
    assert server.ask("POST", "/invocations", records[0])[0] == 200
    code, said = server.stop()
    assert code == 0
    assert "package.not-a-bundle" in said  # why no other takes its place


def test_workers_that_cannot_begin_say_why(filon: Callable, tmp_path: Path) -> None:
    said = filon("serve", str(tmp_path), "--port", "0", "--workers", "2")
    assert said.code == 7
    assert "error[package.not-a-bundle]" in said.err
