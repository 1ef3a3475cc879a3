"""What the commands on jobs share: which job is meant, and the place it ran at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from filon.places.base import Handle
    from filon.places.emr.place import Emr

Command = TypeVar("Command", bound=Callable[..., Any])


def job_options(function: Command) -> Command:
    """Add the argument RUN and --runs."""
    function = click.option(
        "--runs",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        show_default=True,
        help="The folder of runs from which the job was sent.",
    )(function)
    return click.argument("run", default="latest")(function)


def found(run: str, runs: Path) -> tuple[Emr, Handle]:
    """The job meant, and its place."""
    from filon.places.emr.handles import find_handle
    from filon.places.emr.place import emr_of

    handle = find_handle(runs, run)
    return emr_of(handle), handle


def place_options(function: Command) -> Command:
    """Add --on, --wait and --recipe, for a command that works on a bundle."""
    function = click.option(
        "--recipe", "recipe", type=click.Path(path_type=str), default="filon.toml", help="With --on: whose table [places] is used."
    )(function)
    function = click.option("--wait/--no-wait", default=None, help="With --on: stay until the job has ended.")(function)
    return click.option("--on", "place", metavar="PLACE", default=None, help="Run it there, by the recipe's table [places.PLACE].")(
        function
    )


def send(
    verb: str, place: str, recipe: str, wait: bool | None, bundle: str, data: str, out: str, options: tuple[str, ...], as_json: bool
) -> int:
    """Send an evaluation or a prediction to a place, and say where it is."""
    from filon.cli.terminal import Terminal
    from filon.places import open_place
    from filon.recipe import load_recipe
    from filon.remote import bundle_job, run_job

    terminal = Terminal(as_json)
    file = load_recipe(recipe)
    opened = open_place(place, file.recipe.places)
    job = bundle_job(verb, file, bundle, data, out=out, options=options)
    handle = run_job(opened, job, wait=bool(wait) or not opened.goes_on, listen=terminal)
    terminal.say(f"  {handle.state:<8} {handle.id} on {handle.place}", bold=True)
    terminal.say(f"  {'out':<8} {handle.out}")
    terminal.result({"place": handle.place, "id": handle.id, "state": handle.state, "out": handle.out, "facts": dict(handle.facts)})
    return 0 if handle.state != "failed" else 1
