"""What the world does to a server: strange requests, slow and huge bodies, thousands of connections, a killed worker."""

import http.client
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.story.test_serve import Start, children, records, sealed, start

from filon.package import Bundle

__all__ = ["records", "sealed", "start"]
pytestmark = [pytest.mark.story, pytest.mark.slow]

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"
HEAD = "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


def counted(server: object) -> dict[str, int]:
    """Requests by status."""
    text = server.ask("GET", "/metrics")[1]["text"]
    found: dict[str, int] = {}
    for status, count in re.findall(r'filon_requests_total\{route="\w+",status="(\d+)"\} (\d+)', text):
        found[status] = found.get(status, 0) + int(count)
    return found


def test_generated_requests_never_meet_a_server_error(start: Start, sealed: Callable[..., Bundle], tmp_path: Path) -> None:
    server = start(sealed(classes=3).path)
    program = shutil.which("schemathesis") or str(Path(sys.executable).with_name("schemathesis"))
    words = [
        "--checks",
        CHECKS,
        "--max-examples",
        "300",
        "--phases",
        "examples,coverage,fuzzing",
        "--generation-deterministic",
        "--no-color",
    ]
    command = [program, "run", f"http://127.0.0.1:{server.port}/openapi.json", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    by_status = counted(server)
    assert sum(by_status.values()) > 300
    assert not [status for status in by_status if status.startswith("5")]
    assert {"200", "400"} <= set(by_status)
    assert server.stop() == (0, "")


def test_a_client_of_one_byte_a_second_and_one_of_a_gigabyte_are_told_and_let_go(
    start: Start, sealed: Callable[..., Bundle], records: list[dict]
) -> None:
    server = start(sealed().path, "--timeout", "4", "--max-body", "1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(f"{HEAD}content-length: 1000\r\n\r\n".encode())
        began = time.monotonic()
        heard = b""
        while not heard and time.monotonic() - began < 20:
            slow.sendall(b" ")
            if select.select([slow], [], [], 1.0)[0]:
                heard = slow.recv(1 << 16)
            assert server.ask("POST", "/invocations", records[0])[0] == 200
    assert heard.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 8

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as huge:
        huge.sendall(f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode())  # its size is nowhere said
        block, sent, heard = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0, b""
        while sent < 1 << 30 and not heard:
            readable, writable, _ = select.select([huge], [huge], [], 10)
            if readable:
                heard = huge.recv(1 << 16)
            elif writable:
                try:
                    sent += huge.send(block)
                except OSError:
                    break
    assert heard.startswith(b"HTTP/1.1 413")
    assert sent < 32 << 20
    assert server.ask("POST", "/invocations", records[0])[0] == 200
    assert rss_mib(children(server.process.pid)[0]) < 250


def rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def test_ten_thousand_idle_connections_keep_nobody_out(start: Start, sealed: Callable[..., Bundle], records: list[dict]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(10_000, (hard if hard != resource.RLIM_INFINITY else 1 << 20) - 500)
    server = start(sealed().path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 500), hard))
    idle: list[socket.socket] = []
    try:
        for number in range(wanted):  # one loopback address has 28,000 ports to call from
            idle.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            if number % 1000 == 0:
                assert server.ask("POST", "/invocations", records[0])[0] == 200
        began = time.monotonic()
        assert server.ask("POST", "/invocations", records[0])[0] == 200
        assert time.monotonic() - began < 5
        assert len(list(Path(f"/proc/{children(server.process.pid)[0]}/fd").iterdir())) > wanted
        idle[-1].sendall(f"{HEAD}content-length: {len(json.dumps(records[0]))}\r\n\r\n{json.dumps(records[0])}".encode())
        assert idle[-1].recv(1 << 16).startswith(b"HTTP/1.1 200")
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.ask("POST", "/invocations", records[0])[0] == 200
    assert server.stop() == (0, "")


def test_the_only_worker_comes_back_too_and_what_it_had_not_captured_is_said(
    start: Start, sealed: Callable[..., Bundle], records: list[dict], tmp_path: Path
) -> None:
    server = start(sealed().path, "--capture", str(tmp_path / "kept"))
    (first,) = children(server.process.pid)
    shutil.rmtree(tmp_path / "kept")
    (tmp_path / "kept").write_text("in the way")  # lines wait
    assert server.ask("POST", "/invocations", records[0])[0] == 200
    os.kill(first, signal.SIGKILL)
    (tmp_path / "kept").unlink()
    end = time.monotonic() + 30
    while True:
        assert time.monotonic() < end
        try:
            assert server.ask("POST", "/invocations", records[0])[0] == 200
            break
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    assert children(server.process.pid) != [first]
    code, said = server.stop()
    assert (code, "killed by SIGKILL" in said) == (0, True)
    assert "up to 1 answered requests of worker 0 were not captured" in said


def test_a_worker_does_not_outlive_its_supervisor(start: Start, sealed: Callable[..., Bundle]) -> None:
    server = start(sealed().path)
    (worker,) = children(server.process.pid)
    os.kill(server.process.pid, signal.SIGKILL)
    end = time.monotonic() + 15
    while Path(f"/proc/{worker}/cmdline").exists() and Path(f"/proc/{worker}/cmdline").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_neither_pandas_nor_mlflow_nor_training_code_is_in_the_server(start: Start, sealed: Callable[..., Bundle]) -> None:
    bundle = sealed()
    server = start(bundle.path)
    rows = bundle.golden().select([column.name for column in bundle.inputs]).slice(0, 24).to_pylist() * 20
    assert server.ask("POST", "/invocations", rows, content_type="application/json")[0] == 200  # XGBoost is loaded by now
    (worker,) = children(server.process.pid)
    assert "/pandas/" not in (maps := Path(f"/proc/{worker}/maps").read_text())
    assert "libxgboost" in maps
    for name in ("/sklearn/", "/mlflow/", "/duckdb", "/optuna/", "/matplotlib/"):
        assert name not in maps
    supervisor = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "/numpy/" not in supervisor
    assert rss_mib(worker) + rss_mib(server.process.pid) < 250
