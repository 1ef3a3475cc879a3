"""The run folder: written beside and renamed, manifest last, so that a run killed anywhere can be resumed (law 6)."""

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filon.engines.base import CurvePoint
from filon.errors import RecipeError, SetupError
from filon.files import cannot_write, write_atomic
from filon.rules import Broken
from filon.search.records import TrialRecord
from filon.trees import Ensemble, LinearDesign

STAGES = ("read", "check", "split", "search", "fit", "evaluate", "package")


def to_plain(value: Any) -> Any:
    """Records, tuples and mappings as what JSON can hold; not-a-number becomes null (JSON has none).

    >>> to_plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value.item() if hasattr(value, "item") and not isinstance(value, (str, bytes)) else value


@dataclass(slots=True, kw_only=True)
class RunFolder:
    """One run on disk. `manifest` is the parsed manifest.json; every change of it is written at once."""

    path: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    _lock: int = -1

    @property
    def run_id(self) -> str:
        """`<name>/<stamp>-<hash>`."""
        return str(self.manifest["run_id"])

    @property
    def work(self) -> Path:
        """What only an unfinished run needs; removed at the end."""
        return self.path / "work"

    def update(self, **changes: Any) -> None:
        """Change the manifest and write it."""
        self.manifest.update(to_plain(changes))
        self.write_json("manifest.json", self.manifest)

    def write_json(self, name: str, value: Any) -> None:
        """One JSON file of the run, atomically."""
        write_atomic(self.path / name, json.dumps(to_plain(value), indent=2, ensure_ascii=False) + "\n")

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note a stage in the manifest with its seconds once it is done."""
        started = time.perf_counter()
        yield
        stages = {**self.manifest.get("stages", {}), name: {"seconds": round(time.perf_counter() - started, 3), "ended_at": now()}}
        self.update(stages=stages)

    def add_trial(self, record: TrialRecord, ensemble: Ensemble | None) -> None:
        """Append one line to trials.jsonl, its model first, so that a line is never without what it promises."""
        if ensemble is not None:
            save_ensemble(self.work / f"trial-{record.number:05d}", ensemble)
        line = json.dumps(to_plain(record), ensure_ascii=False) + "\n"
        try:
            with (self.path / "trials.jsonl").open("a", encoding="utf-8") as out:
                out.write(line)
                out.flush()
                os.fsync(out.fileno())
        except OSError as exc:
            raise cannot_write(self.path / "trials.jsonl", exc) from exc

    def trials(self) -> tuple[TrialRecord, ...]:
        """Finished trials of an earlier attempt; a line cut short by a kill is dropped, and removed."""
        file = self.path / "trials.jsonl"
        if not file.exists():
            return ()
        whole = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        write_atomic(file, "".join(whole))
        return tuple(_trial(json.loads(line)) for line in whole)

    def load_trial(self, number: int) -> Ensemble | None:
        """The model of a finished trial, if it was kept."""
        return load_ensemble(self.work / f"trial-{number:05d}")

    def end(self, state: str, **changes: Any) -> None:
        """The manifest comes last; a finished run drops its scratch space."""
        if state == "done":
            shutil.rmtree(self.work, ignore_errors=True)
        self.update(state=state, ended_at=now(), **changes)
        self.release()

    def release(self) -> None:
        """Let another process take the run."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def take(self) -> None:
        """Hold the run for this process; raises when another one holds it."""
        import fcntl

        handle = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(handle)
            raise SetupError(
                "run.taken",
                f"{self.path} is being worked on by another process",
                "its lock is held",
                "wait for it, or start a new run without --resume",
            ) from exc
        self._lock = handle


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def create_run(root: Path, name: str, fingerprint: str, facts: Mapping[str, Any]) -> RunFolder:
    """A new folder `root/name/YYYYMMDD_HHMMSS-hash`; two runs never share a path."""
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    for attempt in range(1000):
        path = root / name / (f"{stamp}-{fingerprint}" + (f"-{attempt}" if attempt else ""))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            if path.parent.is_dir():
                continue
            raise cannot_write(path, FileExistsError(17, "a file is in the way", str(path.parent))) from None
        except OSError as exc:
            raise cannot_write(path, exc) from exc
        folder = RunFolder(
            path=path, manifest={"format": 1, "name": name, "run_id": f"{name}/{path.name}", "state": "running", "created_at": now()}
        )
        folder.take()
        folder.update(fingerprint=fingerprint, stages={}, **facts)
        return folder
    raise SetupError("run.not-writable", f"no free folder under {root / name}", "a thousand runs began in this second", "try again")


def resume_run(root: Path, name: str, fingerprint: str) -> RunFolder:
    """The newest unfinished run of the same recipe, held for this process.

    Raises
    ------
    RecipeError : `run.nothing-to-resume`
    """
    for path in sorted((root / name).glob(f"*-{fingerprint}*"), reverse=True):
        manifest = read_manifest(path)
        if manifest is not None and manifest.get("state") != "done":
            folder = RunFolder(path=path, manifest=manifest)
            folder.take()
            for left in path.rglob(".*.tmp"):  # what a killed process was writing
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            attempts = int(manifest.get("attempts", 1)) + 1
            folder.update(state="running", attempts=attempts)
            return folder
    why = f"{root / name} has no unfinished run of this very recipe ({fingerprint})"
    raise RecipeError("run.nothing-to-resume", "there is no run to resume", why, "start one without --resume")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file, None when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def read_manifest(path: Path) -> dict[str, Any] | None:
    """manifest.json of a run folder, None when there is none that can be read."""
    found = read_json(path / "manifest.json")
    return found if found is not None and "run_id" in found else None


def list_runs(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every run under a root, newest first, with its manifest."""
    found = [(path.parent, read_manifest(path.parent)) for path in root.glob("*/*/manifest.json")]
    return sorted(((path, manifest) for path, manifest in found if manifest), key=lambda item: item[0].name, reverse=True)


def find_run(root: Path, run: str) -> Path:
    """A run by its folder, its id, the end of its id, or "latest".

    Raises
    ------
    RecipeError : `run.not-found`
    """
    direct = Path(run)
    if (direct / "manifest.json").exists():
        return direct
    runs = list_runs(root)
    for path, manifest in runs:
        if run in ("latest", manifest["run_id"], path.name) or path.name.startswith(run):
            return path
    raise RecipeError("run.not-found", f"there is no run {run!r}", f"{root} has {len(runs)} runs", "`filon runs` lists them")


def save_ensemble(stem: Path, ensemble: Ensemble) -> None:
    """Model bytes, then the small record beside them."""
    write_atomic(stem.with_suffix(".ubj"), ensemble.model)
    facts = {key: value for key, value in to_plain(dataclasses.replace(ensemble, model=b"")).items() if key != "model"}
    write_atomic(stem.with_suffix(".json"), json.dumps(facts))


def load_ensemble(stem: Path) -> Ensemble | None:
    """What `save_ensemble` left, None when it is not (wholly) there."""
    try:
        facts = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        model = stem.with_suffix(".ubj").read_bytes()
    except (OSError, ValueError):
        return None
    design = facts.pop("design")
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
    fields["design"] = LinearDesign(**{key: tuple(value) for key, value in design.items()}) if design else None
    return Ensemble(model=model, **fields)


def _trial(line: Mapping[str, Any]) -> TrialRecord:
    points = tuple(CurvePoint(**point) for point in line.get("curve", ()))
    return TrialRecord(**{**line, "curve": points, "broken": tuple(Broken(**one) for one in line.get("broken", ()))})
