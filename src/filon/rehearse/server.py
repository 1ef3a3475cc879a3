"""The emulated account as a process of its own: moto's server with the executor. `python -m filon.rehearse.server PORT FOLDER`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filon.errors import SetupError

READY_S = 90


def main(port: int, folder: Path) -> None:
    """Serve until killed, or until whoever started it is gone."""
    import moto.server

    from filon.rehearse import executor, job_runs

    executor.install(f"http://127.0.0.1:{port}", folder)
    job_runs.install(f"http://127.0.0.1:{port}", folder)
    moto.server.main(["-H", "127.0.0.1", "-p", str(port)])


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """The address of an emulated account, which ends with the block.

    Raises
    ------
    SetupError : `rehearse.extra-missing`, `rehearse.not-started`
    """
    require()
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "filon.rehearse.server", str(port), str(folder)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _wait(process, endpoint, folder / "log")
        yield endpoint
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def require() -> None:
    """Refuse when the packages of the extra are not there.

    Raises
    ------
    SetupError : `rehearse.extra-missing`
    """
    import importlib.util

    lacking = [name for name in ("moto", "flask", "boto3", "pyspark") if importlib.util.find_spec(name) is None]
    if lacking:
        raise SetupError(
            "rehearse.extra-missing",
            "a rehearsal needs an emulator of AWS and Spark",
            f"{lacking[0]} is not installed",
            "pip install 'filon[rehearse]'",
        )


def _wait(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise SetupError("rehearse.not-started", "the emulator did not start", said[0][:300], f"less {log}")


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
