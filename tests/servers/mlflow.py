"""A real MLflow server on a real PostgreSQL, each in a folder and on a port of its own; both end with the session."""

import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASIDE = ROOT / ".venv-mlflow"
"""MLflow's server wants an older pyarrow than Filon may have: where this environment lacks it, one beside is made, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`uri` is for clients; `python` is an interpreter that has the whole MLflow, and Filon."""

    uri: str
    python: str


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def python_with_mlflow() -> str:
    """An interpreter that can run `mlflow server`: this one, or that of `.venv-mlflow`, made when it is not there."""
    try:
        importlib.metadata.version("mlflow")
        importlib.metadata.version("psycopg2-binary")
        return sys.executable
    except importlib.metadata.PackageNotFoundError:
        pass
    python = ASIDE / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ASIDE)], check=True)
        wanted = ["-e", f"{ROOT}[cpu,ui]", "psycopg2-binary"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), *wanted], check=True)
    return str(python)


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.fail("PostgreSQL is not installed: apt-get install -y postgresql (it is in .ci/apt.txt)")


@contextmanager
def postgres() -> Iterator[int]:
    """A cluster with the database `mlflow` of the user `mlflow`; gives its port."""
    programs, port = _postgres_programs(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="filon-postgres-"))  # not in pytest's folders, which the user postgres may not enter
    data = folder / "data"
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    try:
        _call([str(programs / "initdb"), "-D", str(data), "-U", "mlflow", "--auth=trust", "-E", "UTF8", "--no-sync"])
        _call([str(programs / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start"])
        _call([str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow"])
        yield port
    finally:
        _call([str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


def _call(words: list[str]) -> None:
    """As the user postgres where we are root, which PostgreSQL refuses."""
    words = ["runuser", "-u", "postgres", "--", *words] if os.geteuid() == 0 else words
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def server(folder: Path, database: int, port: int) -> Iterator[Server]:
    """`mlflow server` over a PostgreSQL that runs on port `database`; artifacts go through it into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    python = python_with_mlflow()
    store = f"postgresql+psycopg2://mlflow@127.0.0.1:{database}/mlflow"
    words = ["--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [python, "-m", "mlflow", "server", "--workers", "1", *words],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health", folder / "log")
        yield Server(uri=f"http://127.0.0.1:{port}", python=python)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    for _ in range(360):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the MLflow server did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def tracking_database() -> Iterator[int]:
    """Port of a PostgreSQL for MLflow."""
    with postgres() as port:
        yield port


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, tracking_database: int) -> Iterator[Server]:
    """A server that is up for the whole session."""
    with server(tmp_path_factory.mktemp("mlflow"), tracking_database, free_port()) as one:
        yield one
