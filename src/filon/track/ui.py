"""MLflow's page on the runs: records that still wait are sent, then the page is opened."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from filon.errors import FilonError, SetupError
from filon.events import Event, Listen, silence
from filon.track.following import send, waiting
from filon.track.outbox import Outbox
from filon.track.settings import TrackSettings
from filon.track.state import masked

START_S = 90.0
"""The server takes ten seconds to be ready, a minute on a busy machine with a new database."""


def open_ui(runs: str | Path, port: int = 5000, browser: bool = True, listen: Listen = silence) -> None:
    """Open MLflow's page on the runs; with a local database, serve it until Ctrl-C.

    Parameters
    ----------
    runs : folder of runs; the newest run's `[track]` says where the records are
    browser : open it there, not only tell the address

    Raises
    ------
    SetupError : `track.ui-missing`, `track.nothing-to-show`, `track.port-taken`, `track.ui-failed`
    """
    root = Path(runs).absolute()
    folders = sorted((path.parent for path in root.glob("*/*/manifest.json")), key=lambda path: path.name, reverse=True)
    uri = _uri_of(folders, root)
    if uri.startswith("sqlite:") and _full_mlflow() is None:
        raise SetupError(
            "track.ui-missing", "MLflow's page is not installed", "Filon itself needs only its client", "pip install 'filon[ui]'"
        )
    _flush(folders, listen)
    if uri.startswith(("http://", "https://")):
        _show(uri, browser, listen)
        return
    _serve(uri, port, browser, listen)


def _uri_of(folders: list[Path], root: Path) -> str:
    """Resolved tracking URI of the newest run that can be read; without runs, the default beside the folder."""
    from filon.track.client import where

    for folder in folders:
        try:
            outbox = Outbox(folder)
            return where(outbox.settings.uri, outbox.base)
        except (FilonError, ValueError):
            continue
    return where(TrackSettings.model_validate({}).uri, root.parent)


def _full_mlflow() -> str | None:
    try:
        return version("mlflow")
    except PackageNotFoundError:
        return None


def _flush(folders: list[Path], listen: Listen) -> None:
    for folder in folders:
        if waiting(folder):
            listen(Event(stage="track", text=f"sending the records of {folder.name}"))
            try:
                send(folder, listen)
            except FilonError as exc:
                listen(Event(stage="track", text=f"{folder.name} still waits: {exc.what}"))


def _show(address: str, browser: bool, listen: Listen) -> None:
    listen(Event(stage="track", text=f"MLflow is at {masked(address)}", fields={"url": masked(address)}))
    if browser:
        webbrowser.open(address)


def _serve(uri: str, port: int, browser: bool, listen: Listen) -> None:
    from filon.track.client import PATIENCE, sqlite_file

    file = sqlite_file(uri)
    if file is not None and not file.exists():
        why = f"{file} does not exist yet"
        raise SetupError(
            "track.nothing-to-show", "no run has been recorded", why, "filon train RECIPE, or give the folder of your runs: filon ui RUNS"
        )
    address = f"http://127.0.0.1:{port}"
    if _answers(address):
        raise SetupError("track.port-taken", f"port {port} is in use", f"{address} answers already", f"filon ui --port {port + 1}")
    words = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # the address by the environment: a command line, and the password in it, is seen by everybody on the machine
    environment = {**PATIENCE, **os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # ten processes less, and 2 GB
    with tempfile.TemporaryFile() as said:  # not a pipe: nobody reads while the page is open, and a full pipe stops the server
        server = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        try:
            _wait_until_ready(server, said, address, listen)
            _show(address, browser, listen)
            listen(Event(stage="track", text="Ctrl-C ends it"))
            server.wait()
        except KeyboardInterrupt:
            listen(Event(stage="track", text="the page is closed"))
        finally:
            server.terminate()
            server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], said: IO[bytes], address: str, listen: Listen) -> None:
    started = told_at = time.monotonic()
    while not _answers(f"{address}/health"):
        if server.poll() is not None or time.monotonic() - started > START_S:
            server.terminate()
            server.wait()
            why = _last_words(said) or f"no answer in {START_S:.0f} s"
            raise SetupError("track.ui-failed", "MLflow's page did not start", why, "filon ui --port ANOTHER, or look at `mlflow doctor`")
        if time.monotonic() - told_at >= 4:
            told_at = time.monotonic()
            listen(Event(stage="track", text="MLflow is starting"))
        time.sleep(0.3)


def _last_words(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - 10_000))
    lines = said.read().decode("utf-8", "replace").splitlines()
    return masked(" / ".join([line for line in lines if line.strip()][-3:]))[:400]


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
