"""Workers on one socket, and a light supervisor that puts another one in the place of one that dies."""

import atexit
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filon import errors
from filon.errors import BundleError, FilonError
from filon.serve.following import Follower
from filon.serve.meters import waiting_of
from filon.serve.settings import CAPTURE_KEY, ServeSettings, from_plain
from filon.serve.shipping import STOP_BY
from filon.serve.sockets import ALL_S, DRAIN_S, WRITE_S, log

LOOK_S = 0.05
WORKERS_S = DRAIN_S + WRITE_S + 1
"""After SIGTERM a worker has so long; then it is killed."""

YOUNG_S = 2.0
MOST_PAUSE_S = 5.0
"""A worker that dies young is replaced after a pause that doubles up to this, so that a broken machine is not kept busy."""


def run(settings: ServeSettings, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, in processes of their own: one that dies is replaced, also when it is the only one.

    Raises
    ------
    BundleError, SetupError : as `server.work`
    """
    os.environ.setdefault(CAPTURE_KEY, secrets.token_hex(32))  # the same value has the same hash, whichever worker keeps it
    state = Path(tempfile.mkdtemp(prefix="filon-serve-"))
    try:
        Supervisor(settings, bound, state).run(ready)
    finally:
        shutil.rmtree(state, ignore_errors=True)


class Supervisor:
    """Keeps workers alive. `state` : folder the workers share (meters, the plan of models)."""

    def __init__(self, settings: ServeSettings, bound: socket.socket, state: Path) -> None:
        self.settings, self.bound, self.state = settings, bound, state
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.born: dict[int, float] = {}
        self.due: dict[int, float] = {}
        self.pause = dict.fromkeys(range(settings.workers), 0.1)
        self.stopping = False
        self.shipper: subprocess.Popen[bytes] | None = None
        self.follower: Follower | None = None

    def run(self, ready: Callable[[], None]) -> None:
        """Start the workers, say when all of them answer, and replace those that die until told to stop."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            for slot in range(self.settings.workers):
                self._start(slot)
            told = False
            while not self.stopping:
                if not told and all(self._ready(slot).exists() for slot in self.workers):
                    ready()
                    told = True
                    if self.settings.followed is not None and self.settings.followed.every_s > 0:
                        self.follower = Follower(self.settings.followed, Path(self.settings.shelf), self.state)
                        self.follower.start()
                self._look(told=told)
                if self.settings.capture.remote and (self.shipper is None or self.shipper.poll() is not None):
                    self.shipper = self._ship()
                time.sleep(LOOK_S)
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler's words
        self.stopping = True

    def _ready(self, slot: int) -> Path:
        return self.state / f"ready-{slot}"

    def _start(self, slot: int) -> None:
        for file in (self._ready(slot), self.state / f"failed-{slot}"):
            file.unlink(missing_ok=True)
        words = {"settings": self.settings.to_plain(), "fd": self.bound.fileno(), "state": str(self.state), "slot": slot}
        command = [sys.executable, "-m", "filon.serve.workers", json.dumps(words)]
        self.workers[slot] = subprocess.Popen(command, pass_fds=(self.bound.fileno(),), stdin=subprocess.DEVNULL)
        self.born[slot] = time.monotonic()

    def _ship(self) -> "subprocess.Popen[bytes]":
        words = {"spool": self.settings.capture.folder, "place": self.settings.capture.place, "state": str(self.state)}
        return subprocess.Popen([sys.executable, "-m", "filon.serve.shipping", json.dumps(words)], stdin=subprocess.DEVNULL)

    def _look(self, *, told: bool) -> None:
        """Replace the dead. Before the first answer, a worker that fails ends it all: the next one would fail too."""
        for slot, worker in list(self.workers.items()):
            code = worker.poll()
            now = time.monotonic()
            if code is None:
                continue
            if slot not in self.due:
                if self.stopping:
                    continue
                if not told:
                    raise self._failure(slot, code)
                self._lost(slot)
                young = now - self.born[slot] < YOUNG_S
                self.pause[slot] = min(2 * self.pause[slot], MOST_PAUSE_S) if young else 0.1
                self.due[slot] = now + (self.pause[slot] if young else 0.0)
                log(f"worker {slot} ended ({self._reason(slot, code)}), another one takes its place")
            if now >= self.due[slot]:
                del self.due[slot]
                self._start(slot)

    def _said(self, slot: int) -> Any:
        """What a worker said of its failure; None when it said nothing."""
        try:
            return json.loads((self.state / f"failed-{slot}").read_text(encoding="utf-8"))
        except OSError:
            return None

    def _reason(self, slot: int, code: int) -> str:
        told = self._said(slot)
        return _ending(code) if told is None else f"{told['code']}: {told['what']}, {told['why']}"

    def _failure(self, slot: int, code: int) -> FilonError:
        told = self._said(slot)
        if told is None:
            fix = "look at what it wrote to standard error; try --workers 1"
            return BundleError("serve.bundle-refused", "a worker ended before it answered", _ending(code), fix)
        family = getattr(errors, told["family"])
        failure: FilonError = family(told["code"], told["what"], told["why"], told["fix"])
        return failure

    def _lost(self, slot: int) -> None:
        """Say what a worker took with it that was killed: what it had answered and not yet written."""
        waiting = int(waiting_of(self.state / f"meters-{slot}"))
        if waiting:
            log(f"up to {waiting} answered requests of worker {slot} were not captured")

    def _end(self) -> None:
        """Let the workers answer what they have begun, then the sender of captured files send what they left: all within `ALL_S`."""
        if self.follower is not None:
            self.follower.stop()
        began = time.monotonic()
        alive = {slot: worker for slot, worker in self.workers.items() if worker.poll() is None}
        _stopped(list(alive.values()), began + WORKERS_S)
        for slot, worker in alive.items():
            if worker.returncode < 0:
                self._lost(slot)
        if self.shipper is not None and self.shipper.poll() is None:
            (self.state / STOP_BY).write_text(str(began + ALL_S - 1), encoding="utf-8")
            _stopped([self.shipper], began + ALL_S)
        if self.shipper is not None and self.shipper.returncode:
            log(f"captured files may wait in {self.settings.capture.folder} for the next start")


def _stopped(processes: "list[subprocess.Popen[bytes]]", until: float) -> None:
    """Ask processes to end, and end those that do not in time."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            log(f"process {process.pid} did not stop in time and was killed")
            process.kill()
            process.wait()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def main(text: str) -> int:
    """One worker, as the supervisor starts it."""
    from filon.serve.server import work

    words = json.loads(text)
    settings, state, slot = from_plain(words["settings"]), Path(words["state"]), words["slot"]
    try:
        with socket.socket(fileno=words["fd"]) as bound:
            work(settings, bound, state=state, slot=slot, ready=(state / f"ready-{slot}").touch)
    except FilonError as exc:
        told = {"family": type(exc).__name__, "code": exc.code, "what": exc.what, "why": exc.why, "fix": exc.fix}
        (state / f"failed-{slot}.{os.getpid()}").write_text(json.dumps(told), encoding="utf-8")
        (state / f"failed-{slot}.{os.getpid()}").replace(state / f"failed-{slot}")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    atexit._run_exitfuncs()  # folders of scratch go
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is answered and kept: no thread that nobody waits for holds it up, and DuckDB counts no objects as leaked
