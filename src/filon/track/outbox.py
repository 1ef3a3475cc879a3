"""What a run folder has to tell MLflow, as plain records: read again at any time, it says the same (only more, while the run goes on).

Times are taken from the folder, never from the clock: a metric that is sent twice has the same time, and MLflow then keeps it once.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from filon.errors import RecipeError
from filon.track.settings import TrackSettings
from filon.variables import expanded

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
STATUS: Mapping[str, Status] = {"done": "FINISHED", "failed": "FAILED", "stopped": "FAILED", "running": "RUNNING"}

NAMES = {"accuracy": "accuracy", "auc": "areaUnderROC", "precision": "weightedPrecision", "recall": "weightedRecall", "f1": "f1"}
"""The five metric names that every reader of MLflow looks for, and ours."""

CURVE_POINTS = 500
"""Rounds of a curve that are sent; longer ones are thinned evenly, first and last kept."""

FILES = ("manifest.json", "findings.json", "profile.json", "profile.html", "trials.jsonl")
FOLDERS = ("metrics", "report")
BUNDLE = "bundle"
MOST_TEXT = 5000
"""Characters of a parameter or tag: MLflow refuses more than 6,000 (and older servers cut at that)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One metric value; `at_ms` is milliseconds since 1970 UTC."""

    key: str
    value: float
    step: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One MLflow run to be: the parent (`trial` 0) or the child of one trial."""

    name: str
    trial: int
    status: Status
    started_ms: int
    ended_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()

    @property
    def digest(self) -> str:
        """Hash of the content: a letter that was sent with this digest need not be sent again."""
        said = [
            self.name,
            self.status,
            self.ended_ms,
            sorted(self.tags.items()),
            sorted(self.params.items()),
            [repr(p) for p in self.points],
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


class Outbox:
    """A run folder as a source of letters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)

    def refresh(self) -> None:
        """Read the manifest again."""
        self.manifest = read_manifest(self.folder)

    @property
    def run_id(self) -> str:
        """`<name>/<stamp>-<hash>`."""
        return str(self.manifest["run_id"])

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.manifest["name"])

    @property
    def base(self) -> Path:
        """Where relative paths of the recipe start."""
        return Path(self.manifest.get("base") or self.folder)

    @property
    def settings(self) -> TrackSettings:
        """`[track]` of the recipe, `${NAME}` read from the environment of this process."""
        written = self.manifest.get("recipe", {}).get("track", {})
        try:
            values = expanded(written)
        except KeyError as exc:
            name = exc.args[0]
            why = f"[track] uses ${{{name}}}"
            raise RecipeError("recipe.variable-missing", f"the environment has no {name}", why, f"export {name}=...") from exc
        try:
            return TrackSettings.model_validate(values)
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_context=False)[0]  # a value may hold a password
            key = ".".join(map(str, ("track", *first["loc"])))
            fix = f"filon track RUN --set {key}=..., or correct the variable that it names"
            raise RecipeError("recipe.bad-value", f"{key} has a value it cannot take", first["msg"], fix) from None

    @property
    def state(self) -> str:
        """running, done, failed or stopped."""
        return str(self.manifest.get("state", "running"))

    @property
    def started_ms(self) -> int:
        """When the run was created."""
        return _ms(self.manifest.get("created_at"))

    def parent(self, *, dead: bool = False) -> Letter:
        """The run itself. `dead`: its process is gone without a word."""
        status: Status = "KILLED" if dead else STATUS.get(self.state, "RUNNING")
        ended = _ms(self.manifest.get("ended_at")) or self._last_stage_ms()
        summary = read_json(self.folder / "metrics" / "summary.json")
        at = ended if self.state != "running" else self.started_ms
        return Letter(
            name=self.run_id.rsplit("/", 1)[-1],
            trial=0,
            status=status,
            started_ms=self.started_ms,
            ended_ms=ended,
            tags=self._tags(),
            params={**_flat(self.manifest.get("recipe", {}), leave_out=("track", "places")), **_winner(summary)},
            points=tuple(Point(key=key, value=value, step=0, at_ms=at) for key, value in self._metrics(summary)),
        )

    def children(self) -> Iterator[Letter]:
        """One letter per finished trial, in order; a line that is still being written is left for the next time."""
        at = self.started_ms
        for trial in self.trials():
            seconds = float(trial.get("seconds") or 0.0)
            yield _child(trial, at, at + max(1, int(seconds * 1000)))
            at += max(1, int(seconds * 1000))

    def trials(self) -> list[dict[str, Any]]:
        """Whole lines of trials.jsonl."""
        try:
            text = (self.folder / "trials.jsonl").read_text(encoding="utf-8")
        except OSError:
            return []
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and line.strip()]
        return [trial for trial in found if trial.get("state") != "skipped"]

    def artifacts(self) -> Iterator[tuple[Path, str]]:
        """Files to be kept with the run and the folder each goes to, the bundle's left out."""
        for name in FILES:
            if (self.folder / name).is_file():
                yield self.folder / name, ""
        for name in FOLDERS:
            for path in sorted((self.folder / name).rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    yield path, path.parent.relative_to(self.folder).as_posix()

    @property
    def bundle(self) -> Path | None:
        """The sealed bundle, when there is one."""
        path = self.folder / BUNDLE
        return path if (path / "bundle.json").is_file() else None

    @property
    def bundle_version(self) -> str:
        """Version of the bundle, "" without one."""
        return str(read_json(self.folder / BUNDLE / "bundle.json").get("version", ""))

    def fold_digest(self, name: str) -> str:
        """Digest of a fold, "" before the split."""
        return str(self.manifest.get("folds", {}).get(name, {}).get("digest", ""))

    def _last_stage_ms(self) -> int:
        ends = [_ms(stage.get("ended_at")) for stage in self.manifest.get("stages", {}).values()]
        return max([self.started_ms, *ends])

    def _tags(self) -> dict[str, str]:
        manifest = self.manifest
        tags = {
            "filon.state": self.state,
            "filon.engine": str(manifest.get("engine", "")),
            "filon.fingerprint": str(manifest.get("fingerprint", "")),
            "filon.source": str(manifest.get("source", {}).get("origin", "")),
            "filon.test_fold_openings": str(len(manifest.get("openings", ()))),
            "filon.bundle": self.bundle_version,
            "mlflow.source.name": f"filon {manifest.get('versions', {}).get('filon', '')}".strip(),
            "mlflow.source.type": "LOCAL",
            "mlflow.note.content": "  \n".join(str(line) for line in manifest.get("headlines", ())),
        }
        tags |= {f"filon.version.{name}": str(found) for name, found in manifest.get("versions", {}).items()}
        tags |= {
            f"filon.fold.{name}.{key}": str(fold.get(key, ""))
            for name, fold in manifest.get("folds", {}).items()
            for key in ("rows", "digest")
        }
        tags |= {"filon.error": str(manifest["error"].get("code", ""))} if isinstance(manifest.get("error"), Mapping) else {}
        tags |= self.settings.tags
        return {clean(key): value[:MOST_TEXT] for key, value in tags.items() if value}

    def _metrics(self, summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        winner = summary.get("winner", {})
        test, valid = winner.get("test_metrics_retrained", {}), winner.get("val_metrics", {})
        decision = (summary.get("decision") or {}).get("metrics", {})
        named: dict[str, Any] = {name: test.get(ours) for name, ours in NAMES.items()}
        named |= {f"test_{key}": value for key, value in test.items()} | {f"valid_{key}": value for key, value in valid.items()}
        named |= {f"test_at_threshold_{key}": value for key, value in decision.items()}
        named |= {f"seconds_{name}": stage.get("seconds") for name, stage in self.manifest.get("stages", {}).items()}
        named |= {f"rows_{name}": fold.get("rows") for name, fold in self.manifest.get("folds", {}).items()}
        yield from ((clean(key), float(value)) for key, value in named.items() if _is_number(value))


def _child(trial: Mapping[str, Any], started_ms: int, ended_ms: int) -> Letter:
    number, failed = int(trial["number"]), trial.get("state") == "failed"
    metrics = {f"valid_{key}": value for key, value in trial.get("metrics", {}).items()}
    metrics |= {key: trial.get(key) for key in ("rounds", "trees", "seconds")}
    points = [Point(key=clean(key), value=float(value), step=0, at_ms=ended_ms) for key, value in metrics.items() if _is_number(value)]
    tags = {
        "filon.shared": trial.get("shared"),
        "filon.error": trial.get("error"),
        "filon.key": trial.get("key"),
        "filon.family": trial["family"],
    }
    return Letter(
        name=f"trial {number} {trial['family']}",
        trial=number,
        status="FAILED" if failed else "FINISHED",
        started_ms=started_ms,
        ended_ms=ended_ms,
        tags={key: str(value)[:MOST_TEXT] for key, value in tags.items() if value},
        params={"family": str(trial["family"]), "seed": str(trial.get("seed", "")), **_flat(trial.get("settings", {}))},
        points=(*points, *_curve(trial, ended_ms)),
    )


def _curve(trial: Mapping[str, Any], at_ms: int) -> Iterator[Point]:
    points: Sequence[Mapping[str, Any]] = trial.get("curve", ())
    if len(points) > CURVE_POINTS:
        step = (len(points) - 1) / (CURVE_POINTS - 1)
        points = [points[round(number * step)] for number in range(CURVE_POINTS)]
    name = clean(str(trial.get("curve_metric") or "metric"))
    for point in points:
        for side in ("train", "valid"):
            if _is_number(point.get(side)):
                yield Point(key=f"curve_{side}_{name}", value=float(point[side]), step=int(point["round"]), at_ms=at_ms)


def _winner(summary: Mapping[str, Any]) -> dict[str, str]:
    winner = summary.get("winner", {})
    if not winner:
        return {}
    return {
        "winner": str(winner.get("name", "")),
        **{f"winner.{key}": value for key, value in _flat(winner.get("best_params", {})).items()},
    }


def _flat(value: Mapping[str, Any], prefix: str = "", leave_out: Sequence[str] = ()) -> dict[str, str]:
    """Nested settings as `search.metric`; lists as JSON.

    >>> _flat({"search": {"metric": "f1", "gbt": {"maxDepth": [3, 4]}}})
    {'search.metric': 'f1', 'search.gbt.maxDepth': '[3, 4]'}
    """
    found: dict[str, str] = {}
    for key, item in value.items():
        if key in leave_out:
            continue
        if isinstance(item, Mapping):
            found |= _flat(item, f"{prefix}{key}.")
        else:
            text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)
            found[clean(f"{prefix}{key}")] = text[:MOST_TEXT]
    return found


def clean(key: str) -> str:
    """A name that MLflow takes: word characters, and `-. :/`; at most 250.

    >>> clean("Temperature (°C)/day")
    'Temperature __C_/day'
    """
    return re.sub(r"[^\w\-. :/]", "_", key)[:250]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) != float("inf")


def _ms(text: object) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return 0


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, {} when it is not (wholly) there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a run folder.

    Raises
    ------
    RecipeError : `track.not-a-run`
    """
    found = read_json(folder / "manifest.json")
    if "run_id" not in found or "name" not in found:
        fix = "give a run folder, runs/<name>/<run>; `filon runs` lists them"
        raise RecipeError("track.not-a-run", f"{folder} is not a run", "it has no manifest.json that names a run", fix)
    return found
