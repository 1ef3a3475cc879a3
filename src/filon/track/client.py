"""MLflow's client for one address, without global state, and what it raises in Filon's words."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filon.errors import FilonError, SetupError
from filon.track.state import masked

PATIENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Where the user has not said otherwise: MLflow's own seven retries keep silent for minutes; our outbox waits better than a call does."""


def where(uri: str, base: Path) -> str:
    """The tracking URI with a relative SQLite file resolved against the recipe's folder.

    >>> where("sqlite:///mlflow.db", Path("/"))
    'sqlite:////mlflow.db'

    Raises
    ------
    SetupError : `track.store-unusable` when that folder was moved since: a new database there would have no runs and no aliases
    """
    if not uri.startswith("sqlite:///"):
        return uri
    path, question, options = uri.removeprefix("sqlite:///").partition("?")
    file = Path(path).expanduser()
    if not file.is_absolute() and not base.is_dir():
        raise SetupError(
            "track.store-unusable",
            f"the folder of the recipe is gone, and its {path} with it",
            f"the run was trained in {base}",
            "move it back, or say where the database is: filon track RUN --set track.uri=sqlite:////PATH/mlflow.db",
        )
    return f"sqlite:///{(base / file).absolute()}{question}{options}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a resolved SQLite URI."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def artifacts_place(uri: str, base: Path, experiment: str) -> str | None:
    """Where artifacts go when no server keeps them: beside the database, so that it does not matter where a command is run from."""
    file = sqlite_file(uri)
    if file is None and uri.startswith(("http://", "https://", "databricks", "arn:")):
        return None
    folder = (file.parent if file else base) / "mlruns" / re.sub(r"[^\w\-.]", "_", experiment)
    return folder.absolute().as_uri()


def open_client(uri: str) -> Any:
    """A client of that URI alone: no global state. A SQLite database is made under a lock, since two runs may begin together."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    file = sqlite_file(uri)
    with _making(file) if file else contextlib.nullcontext():
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if file:
            client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def _making(file: Path) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file.with_name(f".{file.name}.lock"), os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as exc:
        raise SetupError(
            "track.store-unusable", f"{file} cannot be written", str(exc), "set track.uri to a place that can be written"
        ) from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def in_our_words(uri: str) -> Iterator[None]:
    """Translate what MLflow, requests and SQLAlchemy raise."""
    try:
        yield
    except FilonError:
        raise
    except ImportError as exc:
        raise SetupError(
            "track.package-missing", "a package that tracking needs is missing", str(exc), "pip install --upgrade filon"
        ) from exc
    except Exception as exc:
        raise _translated(exc, uri) from exc


def _translated(exc: Exception, uri: str) -> SetupError:
    shown, said = masked(uri), _first(exc)
    low = f"{type(exc).__name__} {exc}".lower()
    again = "the records wait in the run folder: `filon track RUN` sends them later"
    other = f"name another by --set track.uri=...; {again}"
    if any(
        sign in low
        for sign in ("connectionerror", "max retries", "connection refused", "timed out", "name or service", "failed to resolve")
    ):
        return SetupError("track.server-away", f"MLflow does not answer at {shown}", said, f"start it, or {other}")
    if re.search(r"\b50[234]\b", low):
        return SetupError("track.server-away", f"MLflow at {shown} is not ready", said, f"look at the server's log; {again}")
    if re.search(r"\b(401|403)\b", low) or "permission_denied" in low or "unauthenticated" in low:
        fix = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or ..._TOKEN); for a 403 see the server's --allowed-hosts"
        return SetupError("track.refused", f"MLflow at {shown} refuses us", said, fix)
    if "out-of-date database schema" in low:
        return SetupError("track.store-old", f"the database {shown} is of an older MLflow", said, f"mlflow db upgrade {shown}")
    if any(
        sign in low
        for sign in ("operationalerror", "databaseerror", "unable to open database", "no module named", "can't load plugin", "disk")
    ):
        return SetupError("track.store-unusable", f"the database {shown} cannot be used", said, other)
    return SetupError("track.failed", f"MLflow at {shown} did not take the records", said, again)


def _first(exc: Exception) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return masked(lines[0])[:300] if lines else type(exc).__name__
