"""One worker: opens the bundle, warms it, answers until it is told to stop, and leaves nothing behind."""

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filon.errors import FilonError, SetupError
from filon.package.bundle import Bundle, open_bundle
from filon.serve.app import App
from filon.serve.capture import STOP_S, Capture, refuse_unknown
from filon.serve.meters import Meters
from filon.serve.models import Models, told_champion
from filon.serve.problems import RefusedError
from filon.serve.served import Served
from filon.serve.settings import ServeSettings
from filon.serve.sockets import BACKLOG, DRAIN_S, WRITE_S, log, token

UNWANTED = frozenset({"pandas", "sklearn"})
"""XGBoost and Arrow import them where they find them, though rows come as arrays: 100 MB of memory and a second of time."""

SWITCH_S = 0.0005

FOLLOW_S = 0.5
"""How soon a worker takes over what another one was told by `POST /models`."""


def work(
    settings: ServeSettings, bound: socket.socket, *, state: Path | None = None, slot: int = 0, ready: Callable[[], None] | None = None
) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT.

    Parameters
    ----------
    state : folder that the workers of one server share; None for a worker alone
    slot : number of this worker; ready : called once, when the first request can be answered

    Raises
    ------
    BundleError : `package.*`; RecipeError : `serve.capture-column-unknown`; SetupError : `serve.extra-missing`, `serve.capture-unusable`
    """
    sys.meta_path.insert(0, _Absent())
    _many_files()
    uvicorn, quick = _uvicorn()
    meters = Meters(None if state is None else state / f"meters-{slot}")
    threads = max(1, (os.cpu_count() or 1) // settings.workers)
    shelf = Path(settings.models or settings.shelf) if settings.models or settings.shelf else None
    bundle = _opened(settings, told_champion(state, shelf))
    capture = Capture(settings.capture, meters, slot) if settings.capture.folder else None
    champion = Served(bundle, meters, threads=threads, capture=capture)
    champion.warm()
    models = Models(champion, shelf=shelf, state=state, closed=not settings.models and bool(settings.shelf))
    if state is not None:
        _catch_up(models)  # what the server was told before this worker began
        threading.Thread(target=_follow, args=(models, os.getppid()), name="filon-follow", daemon=True).start()
    app = App(models, meters, settings.limits, token=token(), workers=settings.workers, capture=capture)
    config = uvicorn.Config(
        app,
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=BACKLOG,
        **quick,
    )
    with _stopping(uvicorn, config, app) as server:
        _calm()
        if ready is not None:
            ready()
        server.run(sockets=[bound])
    app.close(wait=False)
    until = server.told_at + DRAIN_S + WRITE_S
    if capture is not None and (lost := capture.close(max(STOP_S + 1, until - time.monotonic()))):
        log(f"{lost} requests could not be written to the capture: {capture.trouble}")


def _opened(settings: ServeSettings, told: Path | None) -> Bundle:
    """What this server was told last: the bundle it was started with may be gone by then. That one, where the other does not open."""
    if told is not None:
        try:
            return open_bundle(told)
        except FilonError as exc:
            log(f"{told.name} is not served by this worker: {exc.why}")
    bundle = open_bundle(settings.bundle)
    if settings.capture.folder:
        refuse_unknown(settings.capture, [column.name for column in bundle.columns if not column.sql])
    return bundle


class _Absent:
    """Lets the process believe that packages which only cost memory are not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        """Raise for those, and leave all others to the finders that follow."""
        if name.partition(".")[0] in UNWANTED:
            raise ModuleNotFoundError(f"No module named {name!r} (this server does without it)", name=name)


def _catch_up(models: Models) -> None:
    """Take over what other workers were told. Whatever goes wrong, the thread that asks must live: it also sees the supervisor die."""
    try:
        models.follow()
    except RefusedError as exc:
        log(f"this worker keeps its models: {exc.error.why}")
    except Exception as exc:
        log(f"this worker keeps its models: {type(exc).__name__}: {exc}")


def _follow(models: Models, parent: int) -> None:
    """Take over what other workers were told; stop when the supervisor is no more."""
    while os.getppid() == parent:
        time.sleep(FOLLOW_S)
        _catch_up(models)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _stopping(uvicorn: Any, config: Any, app: App) -> Iterator[Any]:
    """A server that says it is not ready from the signal on, and does not raise the signal again when it is done."""

    class Server(uvicorn.Server):  # type: ignore[misc] # imported when needed
        told_at = 0.0

        def handle_exit(self, sig: int, frame: Any) -> None:
            app.draining = True
            self.told_at = self.told_at or time.monotonic()
            super().handle_exit(sig, frame)
            self._captured_signals.clear()

    yield Server(config)


def _calm() -> None:
    """No long pauses: what is there by now is never looked at by the garbage collector again, and the capture's thread, which makes many
    lines at a time, hands over to a request within half a millisecond."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)


def _many_files() -> None:
    """As many connections as the system lets this user have; 1,024, where a shell begins, are soon taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 1 << 20), hard))


def _uvicorn() -> tuple[Any, dict[str, Any]]:
    try:
        import uvicorn
    except ImportError as exc:
        raise SetupError("serve.extra-missing", "the server's packages are not installed", str(exc), 'pip install "filon[serve]"') from exc
    quick: dict[str, Any] = {}
    with contextlib.suppress(ImportError):
        from filon.serve.whole import Protocol

        quick["http"] = Protocol
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401 - only whether it is there

        quick["loop"] = "uvloop"
    return uvicorn, quick
