"""`runs/registry.jsonl`: every change of an alias with who, when and why, also those that were refused."""

import contextlib
import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filon.errors import RecipeError
from filon.files import cannot_write, write_atomic
from filon.track.settings import unfit_alias

NAME = "registry.jsonl"


def refuse_alias(alias: str) -> None:
    """Names that MLflow refuses, or that mean a version: to it, or to `filon serve models:/NAME@ALIAS`.

    Raises
    ------
    RecipeError : `registry.alias-unfit`
    """
    if why := unfit_alias(alias):
        raise RecipeError("registry.alias-unfit", f"{alias!r} cannot be an alias", why, "choose another name, such as champion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of an alias, or an attempt that the gates refused.

    before, version : numbers of the registered model, "" for none; run : Filon's id; gates : what was looked at and found
    """

    did: Literal["promoted", "rolled-back", "refused"]
    model: str
    alias: str
    version: str
    before: str
    why: str
    uri: str
    run: str = ""
    bundle: str = ""
    forced: bool = False
    gates: tuple[dict[str, Any], ...] = ()
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    who: str = field(default_factory=lambda: who())

    def note(self) -> dict[str, Any]:
        """What the version's tag in MLflow says."""
        failed = [gate["gate"] for gate in self.gates if not gate["passed"]]
        return {
            "at": self.at,
            "who": self.who,
            "why": self.why,
            "before": self.before,
            "did": self.did,
            "forced": self.forced,
            "failed": failed,
        }


def who() -> str:
    """The person at work, as `user@machine`; FILON_USER says otherwise (a pipeline's robot works for somebody)."""
    given = os.environ.get("FILON_USER")
    if given:
        return given
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def keep(root: Path, change: Change) -> None:
    """Add a line; the file is whole at any time, also when two add at once.

    Raises
    ------
    SetupError : `run.not-writable`, `run.disk-full`
    """
    with _held(root):
        file = root / NAME
        before = file.read_bytes() if file.exists() else b""
        write_atomic(file, before + json.dumps(asdict(change), ensure_ascii=False, default=str).encode() + b"\n")


def changes(root: Path) -> list[dict[str, Any]]:
    """All lines, oldest first."""
    file = root / NAME
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


@contextlib.contextmanager
def _held(root: Path) -> Iterator[None]:
    file = root / ".registry.lock"
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = file.open("ab")  # never renamed over: a lock holds a file, not a name
    except OSError as exc:
        raise cannot_write(file, exc) from exc
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
