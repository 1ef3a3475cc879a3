"""What we made on AWS, written down before it is made: a list of JSON lines that clean-up reads, also after a crash between the two."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filon.errors import SetupError

Kind = Literal["cluster", "step", "group", "object", "folder", "output", "application", "job-run"]
Known = Literal["intended", "made", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing we made, or were about to make.

    `job` is the key of the job it was made for ("" when jobs share it), `name` how it is found when the crash came before AWS's answer
    (a cluster's or step's name, an address in S3), `resource` AWS's own identifier once it is known, `within` the cluster of a step or
    group.
    """

    id: str
    at: str
    job: str
    kind: Kind
    name: str
    region: str
    state: Known
    resource: str = ""
    within: str = ""


class Ledger:
    """The list on disk; every line is flushed before the call it speaks of is sent."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "ledger.jsonl"

    @contextlib.contextmanager
    def alone(self, job: str, waits: Callable[[], object]) -> Iterator[None]:
        """One process of this machine at a time: two that look for the same job, find none and make it would be paid twice.

        Parameters
        ----------
        waits : called once where another process is at it
        """
        import fcntl

        file = self.path.with_name("sending") / hashlib.sha256(job.encode()).hexdigest()[:2]  # so that there are never many
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as exc:
            raise self._unusable(exc) from exc
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def intend(self, kind: Kind, name: str, *, job: str, region: str, within: str = "") -> Entry:
        """Write down what is about to be made; one line for one thing, however often it is tried."""
        for known in self.entries():
            if (known.kind, known.name, known.job, known.within, known.region) == (
                kind,
                name,
                job,
                within,
                region,
            ) and known.state != "gone":
                return known
        entry = Entry(id=secrets.token_hex(6), at=_now(), job=job, kind=kind, name=name, region=region, state="intended", within=within)
        self._append(entry)
        return entry

    def made(self, entry: Entry, resource: str) -> Entry:
        """It is there, under this identifier."""
        if entry.state == "made" and entry.resource == resource:
            return entry
        entry = replace(entry, state="made", resource=resource)
        self._append(entry)
        return entry

    def gone(self, entry: Entry) -> None:
        """It is there no more, or never was."""
        self._append(replace(entry, state="gone"))

    def entries(self, job: str = "") -> tuple[Entry, ...]:
        """Everything not yet gone, oldest first; of one job when it is named."""
        found: dict[str, Entry] = {}
        for line in self._lines():
            with contextlib.suppress(ValueError, TypeError):  # a line cut short by a kill: its thing was never asked for
                entry = Entry(**json.loads(line))
                found[entry.id] = entry
        return tuple(entry for entry in found.values() if entry.state != "gone" and job in ("", entry.job))

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _append(self, entry: Entry) -> None:
        line = json.dumps(dataclasses.asdict(entry), ensure_ascii=False)
        try:
            with self._locked() as out:
                # a line cut short by a kill must not swallow this one
                os.write(out, f"\n{line}\n".encode() if _torn(self.path) else f"{line}\n".encode())
                os.fsync(out)
        except OSError as exc:
            raise self._unusable(exc) from exc

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        import fcntl

        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)

    def _unusable(self, exc: OSError) -> SetupError:
        return SetupError(
            "places.ledger-unusable",
            f"the ledger {self.path} cannot be written",
            f"{exc.strerror or exc}: nothing is made on AWS that is not written down first",
            "free some space or change its rights, or set FILON_HOME to another folder",
        )


class NoLedger(Ledger):
    """Keeps nothing, where nothing is made."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull))

    @contextlib.contextmanager
    def alone(self, job: str, waits: Callable[[], object]) -> Iterator[None]:
        """At once."""
        del job, waits
        yield

    def entries(self, job: str = "") -> tuple[Entry, ...]:
        """None."""
        del job
        return ()

    def _append(self, entry: Entry) -> None:
        del entry


def home() -> Path:
    """FILON_HOME, else ~/.filon."""
    return Path(os.environ["FILON_HOME"]) if os.environ.get("FILON_HOME") else Path.home() / ".filon"


def _torn(path: Path) -> bool:
    size = path.stat().st_size
    if not size:
        return False
    with path.open("rb") as handle:
        handle.seek(size - 1)
        return handle.read(1) != b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
