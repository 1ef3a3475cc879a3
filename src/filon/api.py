"""The Python API: what the commands call, and what a notebook calls."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon import interrupts
from filon.bundles import load
from filon.computing import computing
from filon.errors import RecipeError, SetupError
from filon.events import Event, Listen, silence
from filon.files import write_atomic
from filon.recipe import RecipeFile, load_recipe, recipe_from, to_toml
from filon.remote import submit
from filon.runs import RunFolder, create_run, list_runs, read_json, resume_run
from filon.variables import covered

if TYPE_CHECKING:
    from filon.check.cost import Cost
    from filon.check.records import Checked
    from filon.package import Bundle
    from filon.pages import Lang

AnyRecipe = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """A run that has ended. In a notebook it shows its metrics and plots."""

    path: Path
    manifest: Mapping[str, Any]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics/summary.json; empty when a blocker stopped the run."""
        return read_json(self.path / "metrics" / "summary.json") or {}

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """findings.json."""
        found: list[dict[str, Any]] = (read_json(self.path / "findings.json") or {}).get("findings", [])
        return found

    @property
    def blockers(self) -> list[dict[str, Any]]:
        """Findings that stopped the run."""
        return [finding for finding in self.findings if finding["level"] == "blocker"] if self.manifest["state"] != "done" else []

    @property
    def headlines(self) -> list[str]:
        """What was found, in three lines."""
        return list(self.manifest.get("headlines", ()))

    @property
    def places(self) -> dict[str, str]:
        """Where a person looks next."""
        named = {"report": "report/report.html", "profile": "profile.html", "bundle": "bundle"}
        return {name: str(self.path / place) for name, place in named.items() if (self.path / place).exists()}

    @cached_property
    def bundle(self) -> Bundle:
        """The sealed bundle, opened."""
        return load(self.path / "bundle")

    def __repr__(self) -> str:
        return "\n".join([f"Run {self.path} ({self.manifest['state']})", *(f"  {line}" for line in (*self._stopped_by, *self.headlines))])

    @property
    def _stopped_by(self) -> list[str]:
        return [f"blocker[{one['code']}] {one['what']}: {one['fix']}" for one in self.blockers]

    def _repr_html_(self) -> str:
        import base64

        lines = "".join(f"<p>{html.escape(line)}</p>" for line in (*self._stopped_by, *self.headlines))
        plots = [
            self.path / "report" / name for name in ("roc_curve.png", "pr_curve.png", "confusion_matrix.png", "feature_importances.png")
        ]
        style = "max-width:45%;margin:4px"
        inline = {plot.stem: base64.b64encode(plot.read_bytes()).decode() for plot in plots if plot.exists()}
        images = "".join(f'<img alt="{name}" style="{style}" src="data:image/png;base64,{data}">' for name, data in inline.items())
        return f"<div><h3>{html.escape(str(self.manifest['run_id']))}</h3>{lines}{images}</div>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What `check` saw: the effective recipe, the schema and findings, and what training would cost."""

    recipe: dict[str, Any]
    recipe_toml: str
    checked: Checked
    cost: Cost
    cost_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The recipe that `init` wrote, and what it noticed."""

    path: Path
    label: str
    notes: tuple[str, ...]


def train(
    recipe: AnyRecipe,
    *,
    sets: Sequence[str] = (),
    engine: str = "embedded",
    runs: str | Path | None = None,
    resume: bool = False,
    base: str | Path | None = None,
    threads: int | None = None,
    memory_mib: int | None = None,
    listen: Listen = silence,
) -> Run:
    """Carry a table from its source to a sealed bundle.

    Parameters
    ----------
    recipe : path of a recipe file, or its content as a mapping (relative paths then start at the current folder)
    sets : overrides, e.g. ["search.metric=areaUnderROC"]
    runs : where runs are kept; `runs/` beside the recipe when left out
    resume : go on with the newest unfinished run of this very recipe
    base : where relative paths of the recipe start; its own folder when left out
    memory_mib : resident memory to stay within, in MiB; half of what is free when left out

    Returns
    -------
    the run; `run.blockers` is not empty when findings stopped it before any training

    Examples
    --------
    >>> import filon
    >>> run = filon.train("filon.toml")  # doctest: +SKIP
    >>> run.bundle.predict(frame)  # doctest: +SKIP
    """
    from filon import pipeline, track
    from filon.search.spending import metered

    file = _recipe(recipe, sets)
    listen = metered(listen, file.recipe.search.budget)
    file = file if base is None else replace(file, base=Path(base).absolute())
    _refuse_mllib(file, engine)
    root = Path(runs) if runs is not None else file.base / "runs"
    folder = resume_run(root, file.recipe.name, file.fingerprint) if resume else _new_run(root, file, engine)
    if file.recipe.track.enabled:
        track.start(folder.path)
    try:
        spark = file.recipe.places.spark
        with computing(engine, scratch=folder.work, threads=threads, memory_mib=memory_mib, spark=spark, listen=listen) as at_work:
            bundle = pipeline.run(pipeline.Story(file=file, folder=folder, engine=at_work, listen=listen))
            at_work.leave(folder.path)
    except BaseException as exc:
        with suppress(SetupError):  # on a full disk the manifest keeps saying "running": --resume takes it up all the same
            folder.end("failed", error=_told(exc))
        folder.release()
        raise
    folder.end("done" if bundle is not None else "stopped")
    return Run(folder.path, folder.manifest)


def check(
    recipe: AnyRecipe,
    *,
    sets: Sequence[str] = (),
    engine: str = "embedded",
    threads: int | None = None,
    memory_mib: int | None = None,
    html: str | Path | None = None,
    listen: Listen = silence,
) -> Looked:
    """The effective recipe, the schema, the findings and the cost; trains nothing and leaves nothing (but the page asked for as `html`)."""
    from filon import pipeline
    from filon.check.cost import cost
    from filon.check.writing import profile_page
    from filon.engines.memory import default_mib
    from filon.read import read

    file = _recipe(recipe, sets)
    with computing(engine, threads=threads, memory_mib=memory_mib, spark=file.recipe.places.spark, listen=listen) as at_work:
        table = at_work.read(read(file.recipe.data, file.base, listen))
        checked, _ = pipeline.look(file, table, at_work, listen)
    effective, within = file.recipe, (memory_mib or default_mib()) if engine == "embedded" else 0  # Spark's memory is its own matter
    shares = {"train_share": effective.split.train, "valid_share": effective.split.valid}
    estimate = cost(checked, **shares, trial_rows=effective.search.rows, within_mib=within)
    if html is not None:
        write_atomic(Path(html), profile_page(checked, effective.name, effective.evaluate.lang))
    return Looked(
        recipe=file.effective,
        recipe_toml=to_toml(file),
        checked=checked,
        cost=estimate,
        cost_lines=_cost_lines(estimate),
    )


def init(
    folder: str | Path,
    *,
    data: str,
    label: str | None = None,
    name: str | None = None,
    lang: Lang = "en",
    force: bool = False,
    listen: Listen = silence,
) -> Made:
    """Write a recipe from a look at the data."""
    from filon.drafting import draft

    path = Path(folder) / "filon.toml"
    if path.exists() and not force:
        raise RecipeError(
            "recipe.exists",
            f"{path} exists already",
            "init writes over nothing",
            f"choose another folder, or add --force to replace {path}",
        )
    with computing("embedded", listen=listen) as at_work:
        made = draft(path.parent, data, label or "", name or "", lang, at_work, listen)
    write_atomic(path, made.text)
    return Made(path=path, label=made.guess.label, notes=made.notes)


def run_rows(root: str | Path) -> list[dict[str, Any]]:
    """Every run as a row for `filon runs`: by recipe name, best first by its own metric on the test fold.

    Parameters
    ----------
    root : the folder of runs, or the recipe's, in which they are under runs/
    """
    from filon.evaluate.metrics import better

    rows = [_run_row(path, manifest) for path, manifest in list_runs(Path(root)) or list_runs(Path(root) / "runs")]

    def order(row: dict[str, Any]) -> tuple[str, bool, float]:
        value = row["test"]
        sign = -1.0 if value is None or not row["metric"] or better(row["metric"]) == "higher" else 1.0
        return (row["name"], value is None, sign * (value or 0.0))

    return sorted(rows, key=order)


def _run_row(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """One run; a folder whose records were cut or edited is told as damaged, and hides no other run."""
    row: dict[str, Any] = {
        "name": path.parent.name,
        "run": f"{path.parent.name}/{path.name}",
        "state": "damaged",
        "winner": "",
        "metric": "",
    }
    row |= {"test": None, "rows": 0, "seconds": 0.0, "path": str(path)}
    try:
        summary = read_json(path / "metrics" / "summary.json") or {}
        winner = summary.get("winner", {})
        metric = str(summary.get("metric_used", ""))
        return {
            **row,
            "name": manifest["name"],
            "run": manifest["run_id"],
            "state": manifest["state"],
            "winner": winner.get("name", ""),
            "metric": metric,
            "test": winner.get("test_metrics_retrained", {}).get(metric),
            "rows": sum(fold["rows"] for fold in manifest.get("folds", {}).values()),
            "seconds": round(sum(stage.get("seconds", 0.0) for stage in manifest.get("stages", {}).values()), 1),
        }
    except (AttributeError, KeyError, TypeError):
        return row


def _recipe(recipe: AnyRecipe, sets: Sequence[str]) -> RecipeFile:
    if isinstance(recipe, Mapping):
        if sets:
            raise RecipeError("recipe.bad-set", "overrides go with a recipe file", "the recipe is a mapping", "change the mapping itself")
        return recipe_from(recipe, Path.cwd())
    return load_recipe(recipe, sets)


def _new_run(root: Path, file: RecipeFile, engine: str) -> RunFolder:
    from filon.versions import versions

    facts = {
        "recipe": file.written,
        "base": str(file.base),
        "engine": engine,
        "versions": versions(),
        "seed": file.recipe.split.seed,
        "openings": [],
    }
    return create_run(root, file.recipe.name, file.fingerprint, facts)


def _refuse_mllib(file: RecipeFile, engine: str) -> None:
    """Raise `engines.mllib-embedded` before anything is read."""
    search = file.recipe.search
    asked = [name for name in ("random_forest", "gbt") if getattr(getattr(search, name), "library", "") == "mllib"]
    if asked and engine != "spark":
        raise RecipeError(
            "engines.mllib-embedded",
            f"search.{asked[0]} asks for Spark MLlib, which the engine {engine} has not",
            'library = "mllib"',
            '--engine spark, or leave out library = "mllib": XGBoost grows the same family',
        )


def _cost_lines(cost: Cost) -> tuple[str, ...]:
    """What training will need, in words."""
    within = f"{_size(cost.within_mib << 20)} to stay within, {_size(cost.machine_bytes)} here" if cost.within_mib else "the engine's own"
    verdict = "fits" if cost.peak_bytes <= cost.within_mib << 20 else "the process alone needs more"
    verdict = verdict if cost.fits else "does not fit: the trainer will keep its matrix on disk"
    memory = f"about {_size(cost.peak_bytes)} of memory ({within})" + (f": {verdict}" if cost.within_mib else "")
    return (
        f"{cost.rows:,} rows x {cost.features:,} features; a trial sees at most {cost.trial_rows:,} rows",
        f"{_size(cost.scratch_bytes)} on disk while it runs, {memory}",
        "no dollars: it runs on this machine",
    )


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"


def _told(exc: BaseException) -> dict[str, str]:
    code = "run.interrupted" if interrupts.caused(exc) else getattr(exc, "code", "bug.unexpected")
    return {"code": str(code), "what": covered(str(getattr(exc, "what", exc)))[:500]}


__all__ = [
    "Event",
    "Looked",
    "Made",
    "Run",
    "check",
    "init",
    "run_rows",
    "submit",
    "train",
]
