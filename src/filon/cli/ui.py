"""`filon ui`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import shared

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.places.emr.webpages import Page, Via

MLFLOW_PORT = 5000


@click.command("ui")
@click.argument("runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"))
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="Port of a local page (default: 5000; with --on the page's own).")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option("--on", "place", type=click.Choice(["emr"]), default=None, help="Instead: the pages of the cluster that a job runs on.")
@click.option("--run", "run", default="latest", show_default=True, help="With --on: the job whose cluster is meant.")
@click.option("--page", type=click.Choice(["history", "yarn"]), default="history", show_default=True, help="With --on: which page.")
@click.option(
    "--via",
    type=click.Choice(["auto", "ssm", "ssh", "aws"]),
    default="auto",
    show_default=True,
    help="With --on: Session Manager, SSH, or what EMR keeps of it.",
)
@click.option("--recipe", type=click.Path(path_type=str), default="filon.toml", show_default=True, help="With --on: whose SSH key is used.")
@shared
def command(
    runs: Path,
    port: int | None,
    no_browser: bool,
    place: str | None,
    run: str,
    page: Page,
    via: Via,
    recipe: str,
    as_json: bool,
) -> None:
    """Open the MLflow page on the runs (records that still wait are sent first).

    With --on emr: Spark's history or YARN's page of the cluster that a job runs on, through a tunnel that stays until Ctrl-C.

    \b
    Example:
      filon ui
      filon ui --on emr --page yarn
    """
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    if place is not None:
        _show(terminal, runs, run, page, via, recipe, port or 0, browser=not no_browser)
        return
    from filon.track import open_ui

    open_ui(runs, port=port or MLFLOW_PORT, browser=not no_browser, listen=terminal)


def _show(terminal: Terminal, runs: Path, run: str, page: Page, via: Via, recipe: str, port: int, *, browser: bool) -> None:
    from filon.places.emr.handles import find_handle
    from filon.places.emr.place import emr_of
    from filon.places.emr.serverless.runs import dashboard
    from filon.places.emr.webpages import shown
    from filon.recipe import load_recipe

    handle = find_handle(runs, run)
    settings = load_recipe(recipe).recipe.places.emr if Path(recipe).exists() else None
    place = emr_of(handle, settings)
    if handle.facts.get("serverless"):
        _tell(terminal, dashboard(place.aws, handle), "aws", browser)
        return
    with shown(place.aws, place.settings, handle.facts["cluster"], page, terminal, via=via, port=port) as seen:
        _tell(terminal, seen.url, seen.via, browser)
        if seen.process is not None:
            terminal.say("  Ctrl-C closes the tunnel")
            with suppress(KeyboardInterrupt):
                seen.process.wait()
                terminal.say("the other end has closed the tunnel", fg="yellow")


def _tell(terminal: Terminal, url: str, via: str, browser: bool) -> None:
    terminal.say(f"  {url}", bold=True)
    terminal.result({"url": url, "via": via})
    if browser:
        import webbrowser

        webbrowser.open(url)
