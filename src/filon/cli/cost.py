"""`filon cost`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from filon.cli.options import Finite, recipe_options, shared

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.places.base import Handle
    from filon.places.emr.bill import Paid
    from filon.places.emr.work import Table
    from filon.recipe import RecipeFile


@click.command("cost")
@recipe_options
@click.option("--on", "place", metavar="PLACE", default="emr", show_default=True, help="The place that charges.")
@click.option("--rows", type=click.IntRange(min=1), default=None, help="Rows of the table, where it cannot be looked at.")
@click.option("--features", type=click.IntRange(min=1), default=None, help="Features of the table, where it cannot be looked at.")
@click.option("--deadline", metavar="HOURS", type=Finite(min=0.01), default=None, help="Also the cheapest cluster in time.")
@click.option("--offline", is_flag=True, help="Ask nobody for prices: use the dated table.")
@click.option("--runs", "runs", is_flag=True, help="What the jobs sent from here did cost, by run.")
@shared
def command(
    recipe: str,
    sets: tuple[str, ...],
    place: str,
    rows: int | None,
    features: int | None,
    deadline: float | None,
    offline: bool,
    runs: bool,
    as_json: bool,
) -> int:
    """What a run will cost on a place that charges, and what runs did cost.

    Before: instances by the hour, EMR's charge, disks, S3; spot against on demand; with --deadline the cheapest cluster that is
    done in time. After: by the hours of the instances. Prices are AWS's own where its pricing API answers, else those of a
    dated table, whose age is shown.

    \b
    Example:
      filon cost filon.toml --on emr --deadline 2
      filon cost filon.toml --runs
    """
    from filon.cli.terminal import Terminal
    from filon.errors import RecipeError
    from filon.recipe import load_recipe

    terminal = Terminal(as_json)
    if place != "emr":
        raise RecipeError("cost.no-such-place", f"{place} has no price", "of the places only emr charges", "--on emr")
    file = load_recipe(recipe, sets)
    if runs:
        return _after(file, terminal)
    return _before(file, _table(file, rows, features), deadline, offline, terminal)


def _table(file: RecipeFile, rows: int | None, features: int | None) -> Table:
    from filon.places.emr.tables import look_at
    from filon.places.emr.work import Table

    if rows and features:
        return Table(rows=rows, features=features, size_bytes=rows * features * 4, name="given.parquet", how="as given")
    return look_at(file.recipe.data, file.base, file.recipe.places.emr.region)


def _before(file: RecipeFile, table: Table, deadline: float | None, offline: bool, terminal: Terminal) -> int:
    from filon.places.emr.cost import offer, offer_facts, offer_lines
    from filon.places.emr.work import calibrated, work
    from filon.runs import list_runs

    recipe, settings = file.recipe, file.recipe.places.emr
    runs = [path for path, manifest in list_runs(file.base / "runs") if manifest.get("name") == recipe.name]
    todo = calibrated(work(table, recipe.search, recipe.split), runs, recipe.search, recipe.split, os.cpu_count() or 1)
    made = offer(settings, todo, table, deadline_hours=deadline, aws=_aws(settings.region, offline))
    for line in offer_lines(made):
        terminal.say(line)
    cap = recipe.search.budget.dollars
    if cap is not None:
        what = "the run is stopped there" if made.asked.dollars > cap else "it is expected to stay below"
        terminal.say(f"search.budget.dollars = {cap:g}: {what}", fg="yellow" if made.asked.dollars > cap else None)
    terminal.result(offer_facts(made))
    return 0


def _aws(region: str, offline: bool) -> Any:
    """Whom to ask for prices; None where nobody is to be asked, or nobody can be."""
    from filon.errors import FilonError

    if offline:
        return None
    try:
        from filon.places.emr.client import Client

        return Client(region, attempts=1)
    except FilonError:
        return None


def _after(file: RecipeFile, terminal: Terminal) -> int:
    from filon.errors import FilonError
    from filon.places.emr.client import Client
    from filon.places.emr.handles import list_handles

    rows, total = [], 0.0
    handles = list_handles(Path(file.base / "runs"))
    aws = Client(file.recipe.places.emr.region) if handles else None  # with no job there is nobody to ask, and nothing to ask for
    for handle in handles:
        facts = handle.facts
        row: dict[str, Any] = {"job": handle.id, "state": handle.state, "cluster": facts.get("cluster", "")}
        try:
            bill, share = _bill(aws, handle, handles)
        except FilonError as exc:
            rows.append({**row, "error": {"code": exc.code, "what": exc.what}})
            terminal.say(f"{handle.id:<36} {handle.state:<10} not known: {exc.what}", fg="yellow")
            continue
        total += bill.dollars
        more = ", so far" if bill.open else ""
        used = ", ".join(f"{hours:.2f} h {kind}" for kind, hours in bill.instance_hours.items())
        terminal.say(f"{handle.id:<36} {handle.state:<10} ${bill.dollars:>8,.2f}{more}  ({share}: {used})")
        rows.append({**row, "dollars": round(bill.dollars, 4), "bill": bill})
    terminal.say(f"{'together':<36} {'':<10} ${total:>8,.2f}" if rows else "no jobs were sent from here")
    terminal.result({"runs": rows, "dollars": round(total, 4)})
    return 0


def _bill(aws: Any, handle: Handle, handles: list[Handle]) -> tuple[Paid, str]:
    """What one job did cost, and of what that is the share. `handles` are all jobs, the newest first."""
    from filon.places.emr.bill import paid, shares
    from filon.places.emr.serverless.rates import paid_run

    facts = handle.facts
    if facts.get("serverless"):
        return paid_run(aws, facts["cluster"], facts["step"]), "its own workers"
    if not facts.get("transient"):
        return paid(aws, facts["cluster"], step=facts.get("step", ""), transient=False), "its time on a standing cluster"
    sharing = [one for one in handles if one.facts.get("transient") and one.facts.get("cluster") == facts["cluster"]]
    sharing.sort(key=lambda one: one.job.verb != "train")  # it was made for the training, which the evaluation followed
    if len(sharing) == 1:
        return paid(aws, facts["cluster"]), "its own cluster"
    place = sharing.index(handle)
    share = f"its time on a cluster of {len(sharing)} jobs" if place else f"a cluster of {len(sharing)} jobs, but for the others' time"
    return shares(aws, facts["cluster"], [one.facts.get("step", "") for one in sharing])[place], share
