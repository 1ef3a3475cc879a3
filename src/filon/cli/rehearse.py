"""`filon rehearse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import recipe_options, shared

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.places.emr.settings import EmrSettings
    from filon.recipe import RecipeFile


@click.command("rehearse")
@recipe_options
@click.option("--on", "place", type=click.Choice(["emr"]), default="emr", show_default=True, help="The place that is rehearsed.")
@click.option("--data", default="", metavar="TABLE", help="A local table in place of the recipe's own.")
@click.option("--environment", is_flag=True, help="Build and send the lane's environment too (minutes, hundreds of MiB).")
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the run comes home to (default: runs/ beside the recipe).",
)
@shared
def command(recipe: str, sets: tuple[str, ...], place: str, data: str, environment: bool, runs: Path | None, as_json: bool) -> int:
    """Carry a recipe to an emulated EMR and back, free: the step really runs, by a local Spark with its real arguments.

    \b
    Example:
      filon rehearse filon.toml --on emr --data sample.csv
    """
    from filon.cli.terminal import Terminal
    from filon.recipe import load_recipe
    from filon.rehearse.journey import rehearse

    terminal = Terminal(as_json)
    file = load_recipe(recipe, sets)
    root = runs if runs is not None else file.base / "runs"
    done = rehearse(file, runs=root.absolute(), data=data, real_environment=environment, listen=terminal)
    terminal.say(f"  {'model':<8} {done.home}", bold=True)
    terminal.say(f"  {'logs':<8} {done.log_lines:,} lines came back")
    terminal.say(f"  {'cleaned':<8} {done.deleted} deleted, {len(done.left)} left")
    true_run = _true_run(file, data, terminal)
    result = {"home": str(done.home), "log_lines": done.log_lines, "deleted": done.deleted, "left": list(done.left), "true_run": true_run}
    terminal.result({**result, "place": place})
    return 1 if done.left else 0


def _true_run(file: RecipeFile, data: str, terminal: Terminal) -> list[str]:
    """What the true run would do and cost, in lines."""
    emr = file.recipe.places.emr
    cluster = _where(emr)
    lines = [
        f"the true run would send code and environment to {emr.bucket or 's3://YOUR-BUCKET (places.emr.bucket is empty)'}",
        f"{cluster}; release {emr.release}, region {emr.region or 'by the AWS environment'}",
        *_cost(file, data),
        "--on dry-run prints every request of it; filon check RECIPE --on emr looks at the account",
    ]
    for line in lines:
        terminal.say(f"  {line}")
    return lines


def _where(emr: EmrSettings) -> str:
    """What the job would run on."""
    if emr.serverless:
        from filon.places.emr.serverless.workers import workers_of

        named = f"use the application {emr.application_id}" if emr.application_id else "find or make an application"
        return f"{named}, and run the job on at most {workers_of(emr)}"
    from filon.places.emr.transient import groups

    made = ", ".join(f"{one['InstanceCount']} x {one['InstanceType']} ({one['Name'].lower()})" for one in groups(emr))
    return f"use the cluster {emr.cluster_id}" if emr.cluster_id else f"make a cluster of {made}, and end it after the job"


def _cost(file: RecipeFile, data: str) -> list[str]:
    """What it would cost, by the dated price table, and by the sample where there is one: a rehearsal asks nobody."""
    from filon.errors import FilonError
    from filon.places.emr.cost import offer, offer_lines
    from filon.places.emr.tables import look_at
    from filon.places.emr.work import work

    sample = ["of the sample alone (filon cost RECIPE --on emr looks at the whole table):"] if data else []
    source = file.recipe.data.model_copy(update={"source": str(Path(data).absolute())}) if data else file.recipe.data
    try:
        table = look_at(source, file.base)
        return [*sample, *offer_lines(offer(file.recipe.places.emr, work(table, file.recipe.search, file.recipe.split), table))]
    except FilonError as exc:
        return [f"its price is not known: {exc.what} (filon cost RECIPE --on emr)"]
