"""`filon compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import Page, shared

if TYPE_CHECKING:
    from filon.pages import Lang


@click.command("compare")
@click.argument("left", metavar="RUN", type=str)
@click.argument("right", metavar="RUN", type=str)
@click.option("--data", default=None, help="A labelled table (default: the rows in both test folds, read again).")
@click.option("--out", type=Page(), metavar="FILE", default=Path("compare.html"), show_default=True, help="The page.")
@click.option("--lang", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Language of the page.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True, help="Where runs are kept."
)
@shared
def command(left: str, right: str, data: str | None, out: Path, lang: Lang, runs: Path, as_json: bool) -> None:
    """Compare two runs on the same rows: curves, the difference of every metric with its interval, settings side by side.

    \b
    Example:
      filon compare 20260101_120000-ab12cd34 latest --out compare.html
    """
    from filon.cli.terminal import Terminal
    from filon.lifecycle import compare

    terminal = Terminal(as_json)
    done = compare(left, right, runs=runs, data=data, out=out, lang=lang, listen=terminal)
    terminal.say(f"{done.told}, {done.paired.rows:,} rows")
    for name, one in done.paired.metrics.items():
        if one.value is not None and one.left is not None and one.right is not None:
            bounds = f"  {one.lower:+.4f} to {one.upper:+.4f}" if one.lower is not None and one.upper is not None else ""
            terminal.say(f"  {name:<20} {one.left:.4f}  {one.right:.4f}  {one.value:+.4f}{bounds}", bold=name == done.metric)
    terminal.say(f"  page     {done.page}")
    terminal.result(done)
