"""The Python API of a model's life after training: compare, promote, roll back, export."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.computing import computing
from filon.errors import RecipeError
from filon.events import Event, Listen, silence
from filon.recipe import Recipe, load_recipe, overridden, recipe_from
from filon.registry import ledger
from filon.registry.gates import Gate, against, golden, quick, reached, small
from filon.registry.paired import Paired
from filon.registry.paired import compare as paired_compare
from filon.registry.rows import Exhibit, Origin, ask, of_table, of_test_folds
from filon.runs import RunFolder, find_run, list_runs, read_json, read_manifest

if TYPE_CHECKING:
    from filon.export import Exported, Form
    from filon.package import Bundle
    from filon.pages import Lang
    from filon.track import Registry, Version

MOST_BACK = 50
"""Steps that can be gone back."""

SEED = 42
"""Of the paired bootstrap: the same rows give the same interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of a promotion or a rollback. version, before : "name/number" or ""; `done` is False when gates refused it."""

    done: bool
    alias: str
    model: str
    version: str
    before: str
    gates: tuple[Gate, ...] = ()
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two runs on the same rows. page : path of the HTML file, None when none was asked for"""

    page: str | None
    left: str
    right: str
    told: str
    metric: str
    paired: Paired


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A finished run with what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]
    recipe: Recipe
    bundle: Bundle

    @property
    def run(self) -> str:
        return str(self.manifest["run_id"])

    @property
    def tested(self) -> Mapping[str, Any]:
        winner = (read_json(self.folder / "metrics" / "summary.json") or {}).get("winner", {})
        found: Mapping[str, Any] = winner.get("test_metrics_retrained", {})
        return found

    @property
    def origin(self) -> Origin:
        test = self.manifest.get("folds", {}).get("test", {})
        return Origin(
            run=self.run,
            data=self.recipe.data,
            split=self.recipe.split,
            base=Path(self.manifest.get("base") or self.folder),
            digest=str(test.get("digest", "")),
            rows=int(test.get("rows", 0)),
        )


def promote(
    run: str | Path,
    *,
    to: str = "champion",
    runs: str | Path = "runs",
    data: str | None = None,
    why: str = "",
    force: bool = False,
    once: bool = False,
    threads: int | None = None,
    memory_mib: int | None = None,
    listen: Listen = silence,
) -> Moved:
    """Let an alias of the registered model point at a run's bundle, if it passes the recipe's `[gates]`.

    Parameters
    ----------
    to : the alias
    runs : where runs are kept, and `registry.jsonl`
    data : labelled table to compare with the champion on; the run's test fold, read again, when left out (this opening is recorded)
    why : kept with the change; force : whatever the gates say, which needs a `why`
    once : leave things as they are when this run was promoted to the alias, or refused, before

    Returns
    -------
    `done` is False when a gate refused it: then nothing has changed

    Raises
    ------
    RecipeError : `registry.why-missing`, `registry.alias-unfit`, `registry.not-registered`, `run.not-found`; SetupError : `track.*`
    """
    if force and not why.strip():
        raise RecipeError(
            "registry.why-missing", "a promotion against the gates needs a reason", "--force was given without --why", '--why "..."'
        )
    ledger.refuse_alias(to)
    from filon import track

    candidate = _candidate(Path(runs), run)
    listen(Event(stage="promote", text=f"{candidate.run}: looking it up in MLflow"))
    sent = track.send(candidate.folder, listen)
    if not sent.model:
        reason = "track.register_model is false in its recipe"
        fix = f"filon track {candidate.run} --set track.register_model=true, then promote again"
        raise RecipeError("registry.not-registered", f"{candidate.run} is no registered model", reason, fix)
    registry = track.of_run(candidate.folder)
    version, champion = registry.version(sent.model.rpartition("/")[2]), registry.pointed(to)
    if champion is not None and champion.number == version.number:
        return Moved(done=True, alias=to, model=registry.name, version=version.number, before=version.number)
    if once and (before := _asked_before(Path(runs), candidate.run, to)):
        number = champion.number if champion else ""
        return Moved(done=before != "refused", alias=to, model=registry.name, version=number, before=number)
    gates = _judge(candidate, registry, champion, Path(runs), data, (threads, memory_mib), to, listen)
    passed = all(gate.passed for gate in gates)
    change = ledger.Change(
        did="promoted" if passed or force else "refused",
        model=registry.name,
        alias=to,
        version=version.number,
        before=champion.number if champion else "",
        why=why,
        uri=registry.shown,
        run=candidate.run,
        bundle=candidate.bundle.version,
        forced=force and not passed,
        gates=tuple(asdict(gate) for gate in gates),
    )
    if passed or force:
        registry.point(to, version, {**change.note(), "path": _path(champion, to)})
    ledger.keep(Path(runs), change)
    return Moved(
        done=passed or force,
        alias=to,
        model=registry.name,
        version=version.number,
        before=change.before,
        gates=tuple(gates),
        forced=change.forced,
    )


def retrack(folder: Path, sets: Sequence[str]) -> None:
    """Change `[track]` of a run that has ended: a server that has moved, a model that is to be registered after all.

    Parameters
    ----------
    sets : such as "track.uri=http://server:5000"; they stand in the manifest from now on, for whoever sends or promotes the run

    Raises
    ------
    RecipeError : `recipe.bad-set`, `recipe.bad-value`; SetupError : `run.taken`
    """
    run = RunFolder(path=folder, manifest=read_manifest(folder) or {})
    for one in sets:
        if not one.strip().startswith("track."):
            why = "the run is over; where its records go is all that can change"
            raise RecipeError("recipe.bad-set", f"--set {one} is no key of [track]", why, "--set track.uri=http://server:5000")
    written = overridden(run.manifest["recipe"], sets)
    recipe_from(written, Path(run.manifest.get("base") or folder), f"{folder / 'manifest.json'}")
    run.take()
    try:
        run.update(recipe=written)
    finally:
        run.release()


def ask_for_alias(folder: Path, listen: Listen = silence) -> Moved | None:
    """What `track.alias` asks for, once for a run that is done: its promotion, past the gates; None where the recipe names no alias."""
    from filon.track import WHY_ALIAS
    from filon.track.outbox import Outbox

    outbox = Outbox(folder)
    alias = outbox.settings.alias  # ${NAME} read from the environment
    if not alias or outbox.state != "done":
        return None
    return promote(folder, to=alias, runs=folder.parents[1], why=WHY_ALIAS, once=True, listen=listen)


def _asked_before(root: Path, run: str, alias: str) -> str:
    """What became of the last attempt to let the alias point at the run, "" when there was none."""
    return next((str(one["did"]) for one in reversed(ledger.changes(root)) if (one["run"], one["alias"]) == (run, alias)), "")


def _path(now: Version | None, alias: str) -> list[str]:
    """Numbers of the versions the alias pointed at, the latest last: what `rollback` goes back along."""
    if now is None:
        return []
    noted = now.moved(alias)
    before = noted.get("path", [noted["before"]] if noted.get("before") else [])
    return [*before, now.number][-MOST_BACK:]


def rollback(
    recipe: str | Path = "filon.toml", *, alias: str = "champion", to: str | None = None, runs: str | Path | None = None, why: str = ""
) -> Moved:
    """Let an alias point at the version it pointed at before, or at another one by its number.

    Parameters
    ----------
    recipe : of the registered model; runs : where the ledger is, `runs/` beside the recipe when left out

    Raises
    ------
    RecipeError : `registry.alias-unfit`, `registry.nothing-before`, `registry.version-unknown`; SetupError : `track.*`
    """
    ledger.refuse_alias(alias)
    from filon.track import Registry

    file = load_recipe(recipe)
    registry = Registry(file.recipe.track, file.base, file.recipe.name)
    now = registry.pointed(alias)
    path = _path(now, alias)[:-1]
    number = to or (path[-1] if path else "")
    if not number:
        at = f"{alias} points at version {now.number}, and nothing is known before it" if now else f"{alias} points nowhere"
        raise RecipeError("registry.nothing-before", "there is no version to go back to", at, "name one: --to VERSION")
    version = registry.version(number)
    before = now.number if now else ""
    change = ledger.Change(
        did="rolled-back",
        model=registry.name,
        alias=alias,
        version=version.number,
        before=before,
        why=why,
        uri=registry.shown,
        run=version.run,
        bundle=version.bundle,
    )
    # the way back gets shorter by what was gone back, so that the next rollback goes on backwards instead of to and fro
    rest = path[: len(path) - 1 - path[::-1].index(number)] if number in path else _path(now, alias)
    registry.point(alias, version, {**change.note(), "path": rest})
    ledger.keep(Path(runs) if runs is not None else file.base / "runs", change)
    return Moved(done=True, alias=alias, model=registry.name, version=version.number, before=before)


def compare(
    left: str | Path,
    right: str | Path,
    *,
    runs: str | Path = "runs",
    data: str | None = None,
    out: str | Path | None = None,
    lang: Lang = "en",
    threads: int | None = None,
    memory_mib: int | None = None,
    listen: Listen = silence,
) -> Compared:
    """Two runs on the same rows: both curves, the difference of every metric with its interval, settings side by side.

    Parameters
    ----------
    data : a labelled table; the rows in both test folds, read again, when left out (the openings are recorded)
    out : the page to write; none when left out

    Raises
    ------
    RecipeError : `registry.labels-differ`; DataError : `registry.rows-changed`, `registry.no-rows`
    """
    root = Path(runs)
    both = (_candidate(root, left), _candidate(root, right))
    first, second = both
    _refuse_other_label(first.bundle, second.bundle)
    if data is None and _sources(first) != _sources(second):
        why = f"{first.run} was trained on {_sources(first)[0]}, {second.run} on {_sources(second)[0]}"
        raise RecipeError(
            "registry.sources-differ", "the two runs have no test rows in common", why, "give a labelled table that neither saw: --data"
        )
    gates = second.recipe.gates
    exhibit, answers = _asked((first.bundle, second.bundle), both, data, gates.rows, (threads, memory_mib), "comparison", listen)
    listen(Event(stage="compare", text=f"{gates.resamples} resamples of {len(exhibit.label):,} rows"))
    classes = first.bundle.classes
    paired = paired_compare(
        *answers, exhibit.label, classes, weight=exhibit.weight, resamples=gates.resamples, confidence=gates.confidence, seed=SEED
    )
    metric = str((read_json(second.folder / "metrics" / "summary.json") or {}).get("metric_used") or "areaUnderPR")
    page = None
    if out is not None:
        from filon.registry.page import Side, write

        sides = [
            Side(run=one.run, bundle=one.bundle, manifest=one.manifest, tested=one.tested, answers=answer)
            for one, answer in zip(both, answers, strict=True)
        ]
        page = write(Path(out), sides[0], sides[1], exhibit, paired, metric, lang)
    return Compared(page=str(page) if page else None, left=first.run, right=second.run, told=exhibit.told, metric=metric, paired=paired)


def export(bundle: str | Path | Bundle, to: Form, out: str | Path) -> Exported:
    """A bundle in the form of another runtime, proved there by its golden rows before it appears at `out`.

    Parameters
    ----------
    to : "onnx", "xgboost" (UBJSON, or JSON for a name that ends in .json), "treelite", "mlflow" (a folder) or "sagemaker" (model.tar.gz)

    Raises
    ------
    BundleError : `export.not-the-same`, `export.form-unfit`; SetupError : `export.package-missing`
    """
    from filon.export.exporting import export as write
    from filon.package import Bundle, open_bundle

    return write(bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle)), to, Path(out))


def _judge(
    candidate: _Candidate,
    registry: Registry,
    champion: Version | None,
    root: Path,
    data: str | None,
    size: tuple[int | None, int | None],
    alias: str,
    listen: Listen,
) -> list[Gate]:
    settings = candidate.recipe.gates
    gates = [golden(candidate.bundle), *reached(settings, candidate.tested), *small(settings, candidate.bundle)]
    listen(Event(stage="promote", text="one row, three hundred times"))
    gates += quick(settings, candidate.bundle)
    if champion is None or settings.champion == "off":
        return gates
    name = f"version {champion.number}"
    with _bundle_of(champion, registry, root, listen) as opened:
        if opened.label != candidate.bundle.label or set(opened.classes) != set(candidate.bundle.classes):
            told = f"{name} answers other classes ({', '.join(opened.classes[:5])}): they cannot be compared"
            return [*gates, Gate(gate="champion", passed=False, told=told)]
        reason = f"promotion to {alias}: against {name}"
        exhibit, answers = _asked((candidate.bundle, opened), (candidate,), data, settings.rows, size, reason, listen)
    listen(Event(stage="promote", text=f"{settings.resamples} resamples of {len(exhibit.label):,} rows"))
    paired = paired_compare(
        answers[1],
        answers[0],
        exhibit.label,
        candidate.bundle.classes,
        weight=exhibit.weight,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=SEED,
    )
    metric = settings.metric or str((read_json(candidate.folder / "metrics" / "summary.json") or {}).get("metric_used") or "areaUnderPR")
    return [*gates, against(settings, metric, paired, name)]


def _asked(
    bundles: tuple[Bundle, Bundle],
    candidates: tuple[_Candidate, ...],
    data: str | None,
    most: int,
    size: tuple[int | None, int | None],
    reason: str,
    listen: Listen,
) -> tuple[Exhibit, tuple[Any, Any]]:
    """The rows, and what both bundles say of them, in the first one's classes. Openings of a test fold are recorded first (law 3)."""
    listen(Event(stage="compare", text="reading the rows that both are asked"))
    threads, memory_mib = size
    with computing("embedded", threads=threads, memory_mib=memory_mib, listen=listen) as engine:
        if data is not None:
            exhibit = of_table(bundles, data, engine, most, listen)
        else:
            for one in candidates:
                folder = RunFolder(path=one.folder, manifest=dict(one.manifest))
                folder.update(openings=[*one.manifest.get("openings", ()), reason])
            exhibit = of_test_folds(bundles, [one.origin for one in candidates], engine, most, listen)
    classes = bundles[0].classes
    return exhibit, (ask(bundles[0], exhibit, classes), ask(bundles[1], exhibit, classes))


def _candidate(root: Path, run: str | Path) -> _Candidate:
    from filon.package import open_bundle

    folder = find_run(root, str(run))
    manifest = read_manifest(folder) or {}
    if manifest.get("state") != "done":
        why = f"its state is {manifest.get('state', 'unknown')!r}"
        raise RecipeError("registry.run-unfinished", f"{folder} has no bundle to look at", why, "`filon runs` lists those that are done")
    recipe = recipe_from(manifest["recipe"], Path(manifest.get("base") or folder), f"{folder / 'manifest.json'}").recipe
    return _Candidate(folder=folder, manifest=manifest, recipe=recipe, bundle=open_bundle(folder / "bundle"))


@contextlib.contextmanager
def _bundle_of(version: Version, registry: Registry, root: Path, listen: Listen) -> Iterator[Bundle]:
    """The bundle of a version: from its run's folder where it is here, else out of the registry."""
    from filon.package import open_bundle

    for folder, manifest in list_runs(root):
        if version.run and manifest["run_id"] == version.run and (folder / "bundle" / "bundle.json").is_file():
            bundle = open_bundle(folder / "bundle")
            if bundle.version == version.bundle:
                yield bundle
                return
    listen(Event(stage="promote", text=f"copying version {version.number} out of the registry"))
    with registry.copied(version) as folder:
        yield open_bundle(folder)


def _sources(one: _Candidate) -> tuple[str, ...]:
    """What makes two runs split the same table: files, where and how classes are read."""
    data = one.recipe.data
    named = [(file.get("path"), file.get("bytes")) for file in one.manifest.get("source", {}).get("named", ())]
    return (str(one.manifest.get("source", {}).get("origin", "")), str(named), str(data.where), str(one.recipe.split.test_source))


def _refuse_other_label(left: Bundle, right: Bundle) -> None:
    if left.label != right.label or set(left.classes) != set(right.classes):
        why = f"{left.label}: {', '.join(left.classes[:5])} and {right.label}: {', '.join(right.classes[:5])}"
        raise RecipeError("registry.labels-differ", "the two runs answer different questions", why, "compare runs of one label")


__all__ = ["Compared", "Moved", "compare", "export", "promote", "rollback"]
