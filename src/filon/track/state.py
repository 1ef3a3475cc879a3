"""What a sender leaves beside the records: how far it came (track.json), and a lock, so that two senders never race."""

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filon.errors import FilonError, SetupError
from filon.events import Event, Listen
from filon.files import write_atomic
from filon.track.outbox import read_json
from filon.variables import covered

STATE = "track.json"
LOG = "track.log"
LOCK = ".track.lock"
RUN_LOCK = ".lock"
"""Held by the process that works on the run (runs.py): when it is free, that process is gone."""

PASSWORD = re.compile(r"://([^:/@\s]*):\S*@")
QUERY = re.compile(r"([?&](?:password|passwd|pwd|token)=)[^&\s]+", re.IGNORECASE)


def read_state(folder: Path) -> dict[str, Any]:
    """The last sender's word: `state` waiting, sent or failed, with `error` where there was one."""
    return read_json(folder / STATE)


def write_state(folder: Path, state: str, **facts: Any) -> None:
    """Written beside, then renamed; nothing secret goes in."""
    record = {"state": state, "at": datetime.now(UTC).isoformat(timespec="seconds"), "process": os.getpid(), **facts}
    with contextlib.suppress(SetupError):  # a disk that is full must not stop the sending
        write_atomic(folder / STATE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def told(error: FilonError) -> dict[str, str]:
    """An error as track.json keeps it."""
    return {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}


def masked(uri: str) -> str:
    """A URI, or a text that quotes some, without passwords (also those that nobody escaped) and values read by `${NAME}`.

    >>> masked("https://me:secret@mlflow.example/x")  # pragma: allowlist secret
    'https://me:***@mlflow.example/x'
    >>> masked("no answer from https://me:se/c@ret@mlflow.example: refused")  # pragma: allowlist secret
    'no answer from https://me:***@mlflow.example: refused'
    """
    return covered(QUERY.sub(r"\1***", PASSWORD.sub(r"://\1:***@", uri)))


@contextlib.contextmanager
def only_sender(folder: Path, listen: Listen, wait_s: float) -> Iterator[None]:
    """Hold the folder's outbox; a holder that is killed frees it.

    Raises
    ------
    SetupError : `track.busy` when another sender keeps it longer than `wait_s`; `track.not-writable`
    """
    try:
        handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as exc:
        raise SetupError("track.not-writable", f"{folder} cannot be written", str(exc), "change its rights") from exc
    try:
        _wait_for(handle, folder, listen, wait_s)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, folder: Path, listen: Listen, wait_s: float) -> None:
    started = time.monotonic()
    told_at = started
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() - started >= wait_s:
                why = f"process {read_state(folder).get('process', '?')} holds its outbox; {folder / LOG} shows how far it is"
                fix = "wait for it (it ends with the run), then run `filon track` again"
                raise SetupError("track.busy", f"the records of {folder} are being sent already", why, fix) from None
        if time.monotonic() - told_at >= 4:
            told_at = time.monotonic()
            listen(Event(stage="track", text="waiting for the sender that is at work on this run"))
        time.sleep(0.2)


def run_is_alive(folder: Path) -> bool:
    """Whether a process holds the run; True as well when that cannot be told (a folder that may only be read)."""
    try:
        handle = os.open(folder / RUN_LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
