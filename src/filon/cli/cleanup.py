"""`filon cleanup`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import shared

if TYPE_CHECKING:
    from filon.errors import RecipeError
    from filon.places.emr.place import Emr


@click.command("cleanup")
@click.argument("run", default="")
@click.option("--all", "everything", is_flag=True, help="Of all jobs, with the code and environments that jobs share.")
@click.option("--others", is_flag=True, help="With --all: also what other people and machines made with this bucket.")
@click.option("--outputs", is_flag=True, help="Finished models and results too (they are kept otherwise).")
@click.option(
    "--recipe", type=click.Path(path_type=str), default="filon.toml", show_default=True, help="Whose region and bucket are looked at."
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="The folder of runs from which the job was sent.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared
def command(run: str, everything: bool, others: bool, outputs: bool, recipe: str, runs: Path, yes: bool, as_json: bool) -> None:
    """Delete what we made on AWS and is still there (and nothing else): by the ledger, and by tag.

    \b
    Example:
      filon cleanup latest
      filon cleanup --all
    """
    from filon.cli.terminal import Terminal
    from filon.places.emr.cleanup import delete, find_doomed
    from filon.places.emr.place import open_emr
    from filon.recipe import load_recipe

    if bool(run) == everything or (others and not everything):
        raise click.UsageError("name a job, or say --all (with --others for everybody's)")
    terminal = Terminal(as_json)
    unknown: RecipeError | None = None
    if everything:
        place, job = open_emr(load_recipe(recipe).recipe.places.emr), ""
    else:
        place, job, unknown = _named(run, runs, recipe)
    doomed = find_doomed(place.aws, place.ledger, place.bucket, job=job, outputs=outputs, others=others)
    there = [one for one in doomed if one.kind != "nothing"]
    if unknown is not None and not there:
        raise unknown
    for one in there:
        terminal.say(f"  {one.text}")
    if there and not yes:
        _ask(len(there))
    count = delete(place.aws, place.ledger, doomed, terminal)
    terminal.say(f"{count} deleted" if count else "nothing of ours is there")
    terminal.result({"deleted": count, "what": [one.text for one in there]})


def _ask(count: int) -> None:
    """Go on only with a yes.

    Raises
    ------
    RecipeError : `places.not-confirmed`
    """
    from filon.errors import RecipeError

    why = "the answer was no"
    try:
        if click.confirm(f"Delete these {count}?", err=True):
            return
    except click.Abort as exc:
        if not isinstance(exc.__context__, EOFError):
            raise  # Ctrl-C
        why = "there is nobody to ask"
    raise RecipeError("places.not-confirmed", "nothing was deleted", why, "add --yes when the list above is right")


def _named(run: str, runs: Path, recipe: str) -> tuple[Emr, str, RecipeError | None]:
    """The place of a job and its key. One that was not sent from here is looked for by the ledger, which also knows those whose submission
    was cut short, and then by the key alone: with the error to raise when nothing of it is there."""
    from filon.errors import RecipeError
    from filon.places.emr.handles import find_handle
    from filon.places.emr.place import emr_of, open_emr
    from filon.recipe import load_recipe

    try:
        handle = find_handle(runs, run)
    except RecipeError as exc:
        if exc.code != "places.job-unknown" or not Path(recipe).exists():
            raise
        file = load_recipe(recipe).recipe
        place = open_emr(file.places.emr)
        ours = re.compile(rf"{re.escape(file.name)}-(train|evaluate|predict)-\w+")
        jobs = [one.job for one in reversed(place.ledger.entries()) if ours.fullmatch(one.job)]
        found = [one for one in jobs if run in ("latest", file.name) or one.startswith(run)]
        fix = "`filon cleanup --all` looks for everything that was made with this recipe's bucket; `filon status` lists jobs sent from here"
        return place, found[0] if found else run, None if found else RecipeError(exc.code, exc.what, exc.why, fix)
    return emr_of(handle), handle.id, None
