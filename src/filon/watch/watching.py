"""The verb: one pass over live rows, then the comparison of two sets of counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filon.check.wording import finding
from filon.errors import DataError, some
from filon.events import Event, Listen, silence
from filon.watch.asking import Asked, join_of, moment_of, settings_of, source_of, time_of
from filon.watch.baseline import baseline_of
from filon.watch.compare import compare
from filon.watch.records import Drift

if TYPE_CHECKING:
    from filon.engines.base import Engine
    from filon.package import Bundle


def watch(bundle: Bundle, asked: Asked, engine: Engine, listen: Listen = silence) -> Drift:
    """Hold live rows against what the bundle was trained on.

    Raises
    ------
    BundleError : `watch.no-baseline`
    RecipeError : `watch.data-or-capture`, `watch.since-unreadable`, `watch.bad-set`
    DataError : `watch.nothing-captured`, `watch.labels-unusable`, `watch.no-rows`, and those of reading
    """
    settings, baseline = settings_of(bundle, asked.sets), baseline_of(bundle)
    since = moment_of(asked.since, datetime.now(UTC))
    rows = source_of(bundle, asked, since, listen)
    join = join_of(bundle, asked, rows, listen)
    time = time_of(rows)
    if since is not None and not time:
        raise DataError(
            "watch.no-time",
            "--since needs rows that say when they were",
            "the table has no column of the role time (data.time of the recipe)",
            "leave --since out, or watch a capture",
        )
    plan = baseline.plan(time=time, since=since, join=join.rows if join else (), named=join.named if join else ())
    listen(Event(stage="watch", text=f"{bundle.name} {bundle.version} over {rows.origin}: {len(rows.files):,} files"))
    scored = engine.score(engine.read(rows), bundle.ensemble, bundle.encoding, bundle.threshold)
    survey = engine.survey(scored, plan, engine.read(join.source) if join else None)
    if not survey.rows:
        late = f"; {survey.late:,} are older than --since {asked.since}" if survey.late else ""
        raise DataError("watch.no-rows", f"{rows.origin} has no rows to watch", f"0 rows could be scored{late}", "name more of them")
    metric = str(bundle.record.get("run", {}).get("metric", ""))
    listen(Event(stage="watch", text=f"{survey.rows:,} rows against {baseline.rows:,} of training"))
    found = compare(baseline, plan, survey, settings, metric)
    labelled = sum(tally.rows - tally.unlabelled for tally in survey.tallies.values())
    unjoined = [finding("info", "watch.labels-unjoined", rows=survey.rows, by=some(join.named))] if join and not labelled else []
    return Drift(
        model=bundle.name,
        version=bundle.version,
        source=rows.origin,
        rows=survey.rows,
        labelled=labelled,
        baseline_rows=baseline.rows,
        late=survey.late,
        judged=found.judged,
        unit=survey.unit,
        metric=metric,
        scores=baseline.scores,
        columns=found.columns,
        score=found.score,
        classes=found.classes,
        metrics=found.metrics,
        periods=found.periods,
        findings=(*found.findings, *unjoined),
    )
