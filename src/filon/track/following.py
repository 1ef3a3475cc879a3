"""A run is followed while it goes on, by a process of its own: training never waits for MLflow."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filon.errors import FilonError, SetupError
from filon.events import Event, Listen, silence
from filon.track.outbox import Outbox
from filon.track.state import LOG, masked, only_sender, read_state, run_is_alive, told, write_state

if TYPE_CHECKING:
    from filon.track.sending import Sender, Sent

LOOK_S = 1.0
"""How often the folder is looked at: a trial's record is in MLflow a second or two after it is on disk."""

LAST_TRIES = 4
"""Tries after the run's end before the records are left waiting for `filon track`."""

LONGEST_PAUSE_S = 30.0
DOUBLINGS = 5
"""Of the pause: by then it is the longest (a server that is away for a day would make the number overflow)."""

QUIET_S = 5.0
"""A manifest that has not changed for so long makes us look whether the run's process is alive."""

WHY_ALIAS = "track.alias of its recipe"
"""The reason that stands beside such a change."""

NICE = 10
"""Training comes first on a machine with few cores."""


def start(run_folder: str | Path) -> int:
    """Follow a run from a detached process, which ends some seconds after the run does; gives the process id at once.

    Whatever happens to it is told in `track.json` and `track.log` of the run folder, never here.
    """
    folder = Path(run_folder).absolute()
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "filon.track", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # a notebook that lives on must not gather dead children
    return process.pid


def send(run_folder: str | Path, listen: Listen = silence, wait_s: float = 120.0) -> "Sent":
    """Send what MLflow does not have yet, here and now; sent before, nothing is doubled.

    Raises
    ------
    RecipeError : `track.not-a-run`
    SetupError : `track.busy`, `track.not-writable`, and those of `sending.Sender`
    """
    folder = Path(run_folder).absolute()
    outbox = Outbox(folder)
    with only_sender(folder, listen, wait_s), heard(listen) as said:
        said(Event(stage="track", text=f"opening {masked(outbox.settings.uri)}"))
        try:
            outbox.refresh()
            alive = outbox.state == "running" and run_is_alive(folder)
            sent = _sender(outbox, said).sync(ended=not alive, dead=outbox.state == "running" and not alive)
        except FilonError as exc:
            write_state(folder, "waiting", error=told(exc))
            raise
        _done(folder, sent, ended=not alive)
    return sent


@contextlib.contextmanager
def heard(listen: Listen) -> Iterator[Listen]:
    """A listener that repeats the last word every four seconds, so that a slow server is no silence (law 8)."""
    last = [Event(stage="track", text="tracking")]
    over = threading.Event()

    def say(event: Event) -> None:
        last[0] = event
        listen(event)

    def repeat() -> None:
        started = time.monotonic()
        while not over.wait(4.0):
            listen(dataclasses.replace(last[0], text=f"{last[0].text} ({time.monotonic() - started:.0f} s)"))

    beat = threading.Thread(target=repeat, daemon=True)
    beat.start()
    try:
        yield say
    finally:
        over.set()
        beat.join()


def waiting(run_folder: Path) -> bool:
    """Whether a run has ended with records that MLflow does not have."""
    with contextlib.suppress(FilonError):
        outbox = Outbox(run_folder)
        if outbox.settings.enabled:
            return read_state(run_folder).get("state") != "sent" and not (outbox.state == "running" and run_is_alive(run_folder))
    return False


def follow(run_folder: Path, listen: Listen = silence, pause: Callable[[float], None] = time.sleep) -> bool:
    """Send records as they come until the run has ended; whether MLflow has them all."""
    outbox = Outbox(run_folder)
    with only_sender(run_folder, listen, wait_s=LONGEST_PAUSE_S):
        write_state(run_folder, "following")
        _wait_for_records(outbox, pause)
        return _follow(outbox, listen, pause)


def _wait_for_records(outbox: Outbox, pause: Callable[[float], None]) -> None:
    """MLflow takes seconds of a core to import: not before there is something to say."""
    while outbox.state == "running" and not outbox.trials() and run_is_alive(outbox.folder):
        pause(LOOK_S)
        outbox.refresh()


def _follow(outbox: Outbox, listen: Listen, pause: Callable[[float], None]) -> bool:
    sender: Sender | None = None
    failures, seen, over = 0, "", False
    while True:
        outbox.refresh()
        dead = outbox.state == "running" and _is_dead(outbox.folder)
        ended = dead or outbox.state != "running"
        if ended and not over:
            over, failures = True, 0  # LAST_TRIES are those after the end, whatever failed before it
        now = _fingerprint(outbox.folder)
        if ended or now != seen:
            try:
                sender = sender or _sender(outbox, listen)
                sent = sender.sync(ended=ended, dead=dead)
            except FilonError as exc:
                sender, failures = None, failures + 1
                listen(Event(stage="track", text=f"{exc}"))
                write_state(outbox.folder, "waiting", error=told(exc), tries=failures)
                if ended and failures >= LAST_TRIES:
                    return False
            else:
                failures, seen = 0, now
                _done(outbox.folder, sent, ended=ended)
                if ended:
                    return True
        pause(min(LOOK_S * 2 ** min(failures, DOUBLINGS), LONGEST_PAUSE_S))


def _is_dead(folder: Path) -> bool:
    """The run's process is gone: asked only when the folder has been quiet, since asking touches the run's lock for an instant."""
    latest = max((path.stat().st_mtime for name in ("manifest.json", "trials.jsonl") if (path := folder / name).exists()), default=0.0)
    return time.time() - latest > QUIET_S and not run_is_alive(folder)


def _fingerprint(folder: Path) -> str:
    parts = []
    for name in ("manifest.json", "trials.jsonl"):
        with contextlib.suppress(OSError):
            seen = (folder / name).stat()
            parts.append(f"{seen.st_mtime_ns}:{seen.st_size}")
    return "|".join(parts)


def _sender(outbox: Outbox, listen: Listen) -> "Sender":
    from filon.track.sending import Sender

    return Sender(outbox, listen)


def _done(folder: Path, sent: "Sent", *, ended: bool) -> None:
    facts = {
        "uri": sent.uri,
        "experiment": sent.experiment,
        "mlflow_run_id": sent.mlflow_run_id,
        "trials": sent.trials,
        "model": sent.model,
    }
    write_state(folder, "sent" if ended else "following", **facts)


def main(words: list[str]) -> int:
    """`python -m filon.track RUN_FOLDER`: follow it, and log one line per step with its time."""
    folder = Path(words[0]).absolute()
    with contextlib.suppress(OSError):
        os.nice(NICE)

    def log(event: Event) -> None:
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {event.text}", flush=True)

    try:
        done = follow(folder, log)
    except SetupError as exc:
        print(exc, flush=True)
        return exc.exit_code if exc.code != "track.busy" else 0
    log(Event(stage="track", text="all records are sent" if done else "records wait in the run folder; `filon track` sends them"))
    if done and Outbox(folder).settings.alias and read_state(folder).get("model"):
        _ask_for_alias(folder)
    return 0 if done else 4


def _ask_for_alias(folder: Path) -> None:
    """Let `filon promote` (of a layer above, so by its name) judge the run and move `track.alias`: no other hand moves an alias."""
    alias = str(Outbox(folder).settings.alias)
    words = ["promote", str(folder), "--runs", str(folder.parents[1]), "--to", alias, "--once", "--why", WHY_ALIAS]
    subprocess.run([sys.executable, "-m", "filon", *words], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False)
