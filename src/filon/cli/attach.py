"""`filon attach`."""

from pathlib import Path

import click

from filon.cli.emr_options import job_options
from filon.cli.options import shared


@click.command("attach")
@job_options
@click.option("--recipe", type=click.Path(path_type=str), default=None, help="The recipe of a job that another machine has sent.")
@shared
def command(run: str, runs: Path, recipe: str | None, as_json: bool) -> int:
    """Come back to a job that was sent, and follow it to its end.

    \b
    Example:
      filon attach latest
    """
    from filon.cli.emr_options import found
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    if recipe is None:
        place, handle = found(run, runs)
    else:
        from filon.places.emr.handles import fetch_handle
        from filon.places.emr.place import open_emr
        from filon.recipe import load_recipe

        file = load_recipe(recipe)
        place = open_emr(file.recipe.places.emr)
        handle = fetch_handle(place.bucket, run, runs, file.base)
    place.ends_on_stop = False  # who looks in from elsewhere ends nothing by leaving
    ended = place.follow(handle, terminal)
    terminal.say(f"  {ended.state:<8} {ended.id}", bold=True)
    terminal.say(f"  {'out':<8} {ended.out}")
    if ended.state == "failed":
        terminal.say("  a finding stopped it, and there is no bundle; findings.json of its run folder tells which")
    terminal.say(f"  {'home':<8} filon fetch {ended.id}")
    terminal.result({"place": ended.place, "id": ended.id, "state": ended.state, "out": ended.out, "facts": dict(ended.facts)})
    return 0 if ended.state == "done" else 1
