"""The story, read to package, in one function; a killed run goes on where it stopped (laws 3, 6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from filon.check import check
from filon.check.wording import finding, translate
from filon.check.writing import findings_dict, profile_dict, profile_page
from filon.engines.answering import refuse_unsliced
from filon.engines.base import LabelPlan
from filon.errors import RecipeError, some
from filon.evaluate import (
    Context,
    Exam,
    FamilyResult,
    choose_threshold,
    examine,
    headlines,
    importances_csv,
    measure_importance,
    rows_to_explain,
    slice_columns,
    summary,
    write_report,
)
from filon.events import Event, Listen
from filon.files import place_of, write_atomic
from filon.fit import fit
from filon.package import Contents, package
from filon.read import read, read_like
from filon.rules import FINDINGS
from filon.runs import to_plain
from filon.search import search
from filon.split import plan_of, split
from filon.watch import learn, ranges_of

if TYPE_CHECKING:
    from filon.check.records import Checked
    from filon.engines.base import Engine, Fitted, Folds, Source, Table
    from filon.engines.tally import Tally
    from filon.package import Bundle
    from filon.recipe import RecipeFile
    from filon.runs import RunFolder
    from filon.search.records import Choice, TrialRecord

SAMPLE_SEED = 42
"""Of the bootstrap: intervals of the same tally are the same in every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Who takes part in one run: the recipe, its folder, the engine and whoever listens."""

    file: RecipeFile
    folder: RunFolder
    engine: Engine
    listen: Listen

    def tell(self, stage: str, text: str) -> None:
        """Say that a stage begins."""
        self.listen(Event(stage=stage, text=text))


def run(story: Story) -> Bundle | None:
    """Carry one table from its source to a sealed bundle; None when a blocker stopped it."""
    recipe, folder, engine = story.file.recipe, story.folder, story.engine
    with folder.stage("read"):
        table = engine.read(read(recipe.data, story.file.base, story.listen))
    with folder.stage("check"):
        checked, test = look(story.file, table, engine, story.listen)
        _keep_findings(story, checked)
    if checked.blockers:
        return None
    with folder.stage("split"):
        story.tell("split", f"{checked.profile.rows:,} rows to train, valid and test by {recipe.split.by}")
        balance, most = recipe.search.balance, recipe.check.max_categories * 10
        folds = split(table, checked, recipe.split, recipe.data, balance, engine, test_source=test, max_categories=most)
        folder.update(folds=folds.info, class_weights=folds.class_weights, features=[one.name for one in folds.encoding.features])
    with folder.stage("search"):
        choice = _search(story, folds)
        checked = _with_failures(story, checked, choice)
    with folder.stage("fit"):
        fitted = fit(folds, choice, engine, story.listen)
    with folder.stage("evaluate"):
        context, exam = _evaluate(story, folds, choice, fitted, checked)
    with folder.stage("package"):
        story.tell("package", "sealing the bundle: golden rows through every door")
        return _package(story, table, folds, fitted, checked, context, exam)


def look(file: RecipeFile, table: Table, engine: Engine, listen: Listen) -> tuple[Checked, Source | None]:
    """The profile of a table and what it means; the test table, where the publisher gives one.

    What the recipe asks of the split and of the report, and this table cannot give, is refused here: before it is paid for.
    """
    recipe = file.recipe
    listen(Event(stage="check", text=f"profile of {len(table.source.columns):,} columns"))
    profile = engine.profile(table, LabelPlan(column=recipe.data.label))
    checked = check(profile, table.source, recipe.check, recipe.data)
    test = _test_source(file, checked.source, listen)
    plan = plan_of(checked, recipe.split, recipe.data, recipe.search.balance, test_source=test)
    refuse_unsliced(recipe.evaluate.slices, {feature.name: feature.kind for feature in plan.features})
    return checked, test


def _keep_findings(story: Story, checked: Checked) -> None:
    folder = story.folder
    folder.write_json("findings.json", findings_dict(checked))
    folder.write_json("profile.json", profile_dict(checked))
    write_atomic(folder.path / "profile.html", profile_page(checked, story.file.recipe.name, story.file.recipe.evaluate.lang))
    folder.update(source=_source_facts(checked.source), rows=checked.profile.rows)


def _source_facts(source: Source) -> dict[str, Any]:
    """Inputs and what identifies them; at most a thousand files are named."""
    named = [{"path": one.path, "bytes": one.size_bytes, "modified": one.modified} for one in source.files[:1000]]
    return {
        "origin": source.origin,
        "format": source.format,
        "files": len(source.files),
        "bytes": sum(one.size_bytes for one in source.files),
        "named": named,
    }


def _test_source(file: RecipeFile, source: Source, listen: Listen) -> Source | None:
    given = file.recipe.split.test_source
    if given is None:
        return None
    data = file.recipe.data.model_copy(update={"source": given})
    test = read_like(source.columns, data, file.base, listen)
    learnt = {place_of(one.path) for one in source.files}
    both = [one.path for one in test.files if place_of(one.path) in learnt]
    if both:
        raise RecipeError(
            "split.test-is-source",
            "the test table is read for training, too",
            f"data.source and split.test_source both hold {some(both)}",
            "leave it out of data.source, or leave test_source out: then a share of the rows is kept for the test",
        )
    return test


def _search(story: Story, folds: Folds) -> Choice:
    recipe, folder = story.file.recipe, story.folder
    before = folder.trials()

    def keep(record: TrialRecord, fitted: Fitted) -> None:
        folder.add_trial(record, fitted.ensemble)

    if before:
        story.tell("search", f"{len(before)} trials of the earlier attempt stand")
    return search(
        folds,
        recipe.search,
        story.engine,
        seed=recipe.split.seed,
        done=before,
        load=folder.load_trial,
        keep=keep,
        rules=recipe.rules,
        listen=story.listen,
    )


def _with_failures(story: Story, checked: Checked, choice: Choice) -> Checked:
    """A trial that failed is a finding (law 7), and so is a rule that was broken: the first three are named."""
    told = []
    failed = [record for record in choice.records if record.state == "failed"]
    if failed:
        errors = some((f"trial {record.number}, {record.family}: {record.error}" for record in failed), most=3)
        told.append(finding("warning", "search.trial-failed", failed=len(failed), trials=len(choice.records), some=errors))
    broken: dict[str, list[str]] = {}
    for record in choice.records:
        for one in record.broken:
            broken.setdefault(one.rule, []).append(f"trial {record.number}, {record.family}: {one.why}")
    for rule, lines in broken.items():
        told.append(finding("warning", FINDINGS[rule], broken=len(lines), trials=len(choice.records), some=some(lines, most=3)))
    if not told:
        return checked
    checked = replace(checked, findings=(*checked.findings, *told))
    story.folder.write_json("findings.json", findings_dict(checked))
    return checked


def _evaluate(story: Story, folds: Folds, choice: Choice, fitted: Fitted, checked: Checked) -> tuple[Context, Exam]:
    """The one look at the test fold: the winner, and the best of every family beside it."""
    recipe, engine, settings = story.file.recipe, story.engine, story.file.recipe.evaluate
    assert fitted.ensemble is not None
    best = choice.best[choice.winner.family]  # type: ignore[index]
    threshold = choose_threshold(best.tally, settings) if best.tally is not None else None
    test = folds.open_test(f"winner: evaluation of {choice.winner.family} and of the best of {len(choice.best)} families")
    story.folder.update(openings=[*story.folder.manifest.get("openings", ()), *folds.openings])  # an attempt that was killed looked too
    story.tell("evaluate", f"the test fold is opened, {test.rows:,} rows")
    encoding = folds.encoding
    importances = measure_importance(fitted.ensemble, encoding, engine.sample(test, rows_to_explain(fitted.ensemble, settings)))
    scored = engine.score(test, fitted.ensemble, encoding, threshold)
    tallies = engine.tally(scored, slice_columns(encoding, importances, settings))
    exam = examine(tallies, settings, threshold, recipe.name, importances, SAMPLE_SEED)
    families: dict[str, FamilyResult] = {}
    for family, one in choice.best.items():
        assert one.ensemble is not None
        story.tell("evaluate", f"the best {family} on the test fold")
        tally = engine.tally(engine.score(test, one.ensemble, encoding, threshold))[()]
        families[family] = FamilyResult(settings=one.trial.settings, valid=_metrics(one.tally), test=_metrics(tally))
    context = _context(story, folds, choice, checked, families[choice.winner.family])
    story.folder.write_json("metrics/summary.json", summary(exam, context, families, encoding.names))
    write_atomic(story.folder.path / "metrics" / "feature_importances.csv", importances_csv(exam))
    story.tell("evaluate", "the report")
    write_report(story.folder.path / "report", exam, context, settings.lang)
    story.folder.update(headlines=headlines(exam, context, settings.lang), threshold=threshold)
    return context, exam


def _metrics(tally: Tally | None) -> Mapping[str, float | None]:
    from filon.evaluate.metrics import values

    return {} if tally is None else values(tally)


def _context(story: Story, folds: Folds, choice: Choice, checked: Checked, winner: FamilyResult) -> Context:
    recipe, manifest = story.file.recipe, story.folder.manifest
    return Context(
        run=story.folder.run_id,
        version=manifest["versions"]["filon"],
        created_at=manifest["created_at"],
        source=checked.source.origin,
        label=recipe.data.label,
        family=choice.winner.family,
        folds=folds.info,
        class_weights=folds.class_weights,
        findings=[translate(one, recipe.evaluate.lang) for one in checked.findings],
        metric=choice.metric,
        trials=choice.records,
        winner=choice.winner.number,
        settings=choice.winner.settings,
        rounds=choice.rounds,
        valid=winner.valid,
        openings=tuple(manifest["openings"]),
        seconds={name: stage["seconds"] for name, stage in manifest["stages"].items()},
        facts=_facts(story, folds),
    )


def _facts(story: Story, folds: Folds) -> dict[str, str]:
    manifest = story.folder.manifest
    digests = {f"digest of {name}": info.digest for name, info in folds.info.items()}
    return {
        "recipe": story.file.fingerprint,
        "seed": str(story.file.recipe.split.seed),
        "engine": story.engine.name,
        **digests,
        **manifest["versions"],
    }


def _package(story: Story, table: Table, folds: Folds, fitted: Fitted, checked: Checked, context: Context, exam: Exam) -> Bundle:
    assert fitted.ensemble is not None
    learned = learn(story.engine, folds, fitted.ensemble, exam, ranges_of(checked.profile.columns))
    contents = Contents(
        name=story.file.recipe.name,
        columns=checked.source.columns,
        encoding=folds.encoding,
        label=checked.label.column,
        ensemble=fitted.ensemble,
        threshold=story.folder.manifest.get("threshold"),
        baseline={**profile_dict(checked), "watch": learned},
        report=story.folder.path / "report",
        run=_travelling(story, folds, context),
    )
    sample = story.engine.sample(table, 64, per_class=8)
    return package(contents, sample, story.engine, story.folder.path / "bundle")


def _travelling(story: Story, folds: Folds, context: Context) -> dict[str, Any]:
    """Facts of the run that go with the bundle; `read` is how new tables are to be read, as the recipe said it of the first."""
    data = story.file.recipe.data
    return {
        "run_id": story.folder.run_id,
        "created_at": story.folder.manifest["created_at"],
        "metric": context.metric,
        "folds": to_plain(folds.info),
        "watch": story.file.recipe.watch.model_dump(mode="json"),
        "read": {"csv": data.csv.model_dump(mode="json"), "missing": list(data.missing)},
    }
