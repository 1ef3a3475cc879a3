"""`filon track`."""

from pathlib import Path

import click

from filon.cli.options import shared
from filon.cli.promote import tell
from filon.errors import FINDING_EXIT


@click.command("track")
@click.argument("run", type=str)
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True, help="Where runs are kept."
)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one value of [track] for this run, e.g. track.uri.")
@shared
def command(run: str, runs: Path, sets: tuple[str, ...], as_json: bool) -> int:
    """Send a run's records to MLflow: those that waited for a server, or all of them again (nothing is doubled).

    Where the recipe has track.alias, the run is then promoted to it if it passes the gates (once); exit code 1 when it does not.

    \b
    Example:
      filon track latest
      filon track latest --set track.uri=http://tracking.internal:5000
    """
    from filon.cli.terminal import Terminal
    from filon.lifecycle import ask_for_alias, retrack
    from filon.runs import find_run
    from filon.track import send

    terminal = Terminal(as_json)
    folder = find_run(runs, run)
    if sets:
        retrack(folder, sets)
    sent = send(folder, listen=terminal)
    terminal.say(f"sent to {sent.uri}: experiment {sent.experiment!r}, run {sent.mlflow_run_id}", bold=True)
    moved = ask_for_alias(folder, listen=terminal) if sent.model else None
    if moved is not None:
        tell(terminal, moved)
    terminal.result(sent)
    return 0 if moved is None or moved.done else FINDING_EXIT
