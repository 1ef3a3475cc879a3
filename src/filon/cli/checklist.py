"""What `filon check --on PLACE` says: the production checklist of a place."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from filon.errors import FilonError, RecipeError

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.places.emr.work import Table
    from filon.recipe import RecipeFile

MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "blocker": ("blocker", "red")}


def tell_checklist(recipe: str, sets: tuple[str, ...], place: str, terminal: Terminal) -> int:
    """Look at everything and say each line; 1 when something would make the job fail.

    Raises
    ------
    RecipeError : `places.unknown`, for a place without a checklist
    """
    from filon.places.emr.checklist import run
    from filon.places.emr.client import Client
    from filon.recipe import load_recipe

    if place != "emr":
        raise RecipeError("places.unknown", f'there is no checklist of "{place}"', "only emr has one", "--on emr")
    file = load_recipe(recipe, sets)
    aws = Client(file.recipe.places.emr.region, attempts=3)
    lines = run(_job(file, aws), aws, terminal)
    for one in lines:
        mark, colour = MARKS[one.level]
        code = f" [{one.code}]" if one.code else ""
        terminal.say(f"{mark} {one.name:<18} {one.what}{code}", fg=colour if one.level != "ok" else None)
        if one.fix:
            terminal.say(f"{'':<26} fix  {one.fix}")
    counts = {level: sum(one.level == level for one in lines) for level in MARKS}
    terminal.say(f"\n{counts['ok']} ok, {counts['warning']} warnings, {counts['blocker']} blockers", bold=True)
    terminal.result({"place": place, "lines": lines, "warnings": counts["warning"], "blockers": counts["blocker"]})
    return 1 if counts["blocker"] else 0


def _job(file: RecipeFile, aws: Any) -> Any:
    """What the checklist is about; a table that cannot be looked at has its own line there."""
    from filon.places.emr.lines import Job

    recipe = file.recipe
    named = [recipe.data.source] if isinstance(recipe.data.source, str) else list(recipe.data.source)
    sources = tuple(str(one) for one in (*named, recipe.split.test_source or "") if one)
    table: Table | None = None
    expected: tuple[float, float] | None = None
    priced = ""
    with suppress(FilonError):
        from filon.places.emr.tables import look_at

        table = look_at(recipe.data, file.base, recipe.places.emr.region)
        expected, priced = _expected(file, table, aws)
    return Job(
        name=recipe.name,
        settings=recipe.places.emr,
        sources=sources,
        strategy=recipe.places.spark.strategy,
        table=table,
        dollars=recipe.search.budget.dollars,
        expected=expected,
        priced=priced,
    )


def _expected(file: RecipeFile, table: Table, aws: Any) -> tuple[tuple[float, float], str]:
    from filon.places.emr.cost import offer
    from filon.places.emr.work import calibrated, work
    from filon.runs import list_runs

    recipe = file.recipe
    runs = [path for path, manifest in list_runs(file.base / "runs") if manifest.get("name") == recipe.name]
    todo = calibrated(work(table, recipe.search, recipe.split), runs, recipe.search, recipe.split, os.cpu_count() or 1)
    made = offer(recipe.places.emr, todo, table, aws=aws, region=aws.region)
    return (made.asked.dollars, made.asked.hours), made.prices.told()
