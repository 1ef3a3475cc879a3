"""`filon ui`."""

from pathlib import Path

import click

from filon.cli.options import shared


@click.command("ui")
@click.argument("runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"))
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port of a local page.")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@shared
def command(runs: Path, port: int, no_browser: bool, as_json: bool) -> None:
    """Open the MLflow page on the runs (records that still wait are sent first).

    \b
    Example:
      filon ui
    """
    from filon.cli.terminal import Terminal
    from filon.track import open_ui

    terminal = Terminal(as_json)
    open_ui(runs, port=port, browser=not no_browser, listen=terminal)
