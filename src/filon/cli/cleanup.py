"""`filon cleanup`."""

from pathlib import Path

import click

from filon.cli.options import shared


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
    from filon.places.emr.handles import find_handle
    from filon.places.emr.place import emr_of, open_emr
    from filon.recipe import load_recipe

    if bool(run) == everything or (others and not everything):
        raise click.UsageError("name a job, or say --all (with --others for everybody's)")
    terminal = Terminal(as_json)
    if everything or not (runs / ".jobs").is_dir():
        place, job = open_emr(load_recipe(recipe).recipe.places.emr), run
    else:
        handle = find_handle(runs, run)
        place, job = emr_of(handle), handle.id
    doomed = find_doomed(place.aws, place.ledger, place.bucket, job=job, outputs=outputs, others=others)
    there = [one for one in doomed if one.kind != "nothing"]
    for one in there:
        terminal.say(f"  {one.text}")
    if there and not yes:
        click.confirm(f"Delete these {len(there)}?", abort=True, err=True)
    count = delete(place.aws, place.ledger, doomed, terminal)
    terminal.say(f"{count} deleted" if count else "nothing of ours is there")
    terminal.result({"deleted": count, "what": [one.text for one in there]})
