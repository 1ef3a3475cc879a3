"""The plan of what is in service: a file that the workers of one server and their supervisor share. Who changes it does so alone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLAN = "plan.json"


@contextmanager
def changing(state: Path) -> Iterator[Path]:
    """The plan's file, which nobody else writes meanwhile; it need not be there. Readers need no lock: it is replaced whole."""
    with (state / "plan.lock").open("a") as lock:  # the system gives it back when a worker dies
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield state / PLAN
