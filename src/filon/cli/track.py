"""`filon track`."""

from pathlib import Path

import click

from filon.cli.options import shared


@click.command("track")
@click.argument("run", type=str)
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True, help="Where runs are kept."
)
@shared
def command(run: str, runs: Path, as_json: bool) -> None:
    """Send a run's records to MLflow: those that waited for a server, or all of them again (nothing is doubled).

    \b
    Example:
      filon track latest
    """
    from filon.cli.terminal import Terminal
    from filon.runs import find_run
    from filon.track import send

    terminal = Terminal(as_json)
    sent = send(find_run(runs, run), listen=terminal)
    terminal.say(f"sent to {sent.uri}: experiment {sent.experiment!r}, run {sent.mlflow_run_id}", bold=True)
    terminal.result(sent)
