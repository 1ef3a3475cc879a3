"""The archive for SageMaker in a container of one's own: a clean environment, the archive unpacked, and SageMaker's command."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.package.conftest import rows, sealed

from filon.export import export
from filon.package import Bundle

__all__ = ["sealed"]
pytestmark = [pytest.mark.story, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip")
PORT = 8080
"""SageMaker's; the test takes another one where somebody on this machine has it."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a wheel of this tree and what its requirements name: nothing of the developers' extras."""
    folder = tmp_path_factory.mktemp("image")
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", str(folder / "venv"))
    run(*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("filon-*.whl")
    wanted = ("-c", str(ROOT / "constraints.txt"), f"filon[cpu,serve] @ {wheel.as_uri()}")
    try:
        run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), *wanted)
    except AssertionError:  # uv may be without a way to an index
        run(str(python), "-m", "pip", "install", "--quiet", *wanted)
    return folder / "venv" / "bin"


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def free(port: int) -> int:
    with contextlib.suppress(OSError), socket.create_server(("0.0.0.0", port)):
        return port
    with socket.create_server(("127.0.0.1", 0)) as other:
        return int(other.getsockname()[1])


def test_the_unpacked_archive_is_served_by_sagemaker_s_command(sealed: Callable[..., Bundle], clean: Path, tmp_path: Path) -> None:
    bundle = sealed(derived=True)
    export(bundle, "sagemaker", tmp_path / "model.tar.gz")
    model = tmp_path / "opt" / "ml" / "model"
    model.mkdir(parents=True)
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        archive.extractall(model, filter="data")
    port = free(PORT)
    environment = {"PATH": f"{clean}:/usr/bin:/bin", "HOME": str(tmp_path), "FILON_BUNDLE": str(model), "FILON_HOST": "0.0.0.0"}
    environment |= {"SAGEMAKER_BIND_TO_PORT": str(port)} if port != PORT else {}
    process = subprocess.Popen([clean / "filon", "serve"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            with contextlib.suppress(OSError):
                assert asked(port, "GET", "/ping")[0] == 200
                break
            time.sleep(0.1)
        records = rows(40, seed=3).select([column.name for column in bundle.inputs]).to_pylist()
        expected = bundle.predict(records).column("probability_class 1").to_numpy()
        status, answer = asked(port, "POST", "/invocations", json.dumps(records).encode(), "application/json")
        assert status == 200
        found = [row["probability"]["class 1"] for row in json.loads(answer)["predictions"]]
        assert np.abs(np.array(found) - expected).max() <= 1e-6
        first = [records[0][column.name] for column in bundle.inputs]
        line = ",".join("" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in first)
        status, answer = asked(port, "POST", "/invocations", line.encode(), "text/csv")
        assert status == 200
        assert json.loads(answer)["predictions"][0]["probability"]["class 1"] == pytest.approx(float(expected[0]), abs=1e-6)
        begun = http.client.HTTPConnection("127.0.0.1", port, timeout=30)  # a request that is under way when SIGTERM comes
        begun.putrequest("POST", "/invocations")
        begun.putheader("content-type", "text/csv")
        begun.putheader("content-length", str(len(line.encode())))
        begun.endheaders()
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGTERM)
        told = time.monotonic()
        time.sleep(0.5)
        begun.send(line.encode())
        assert begun.getresponse().status == 200
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - told < 30
    finally:
        process.kill()
        process.communicate()


def asked(port: int, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(line):
        line.request(method, path, body, {"content-type": kind} if body else {})
        heard = line.getresponse()
        return heard.status, heard.read()
