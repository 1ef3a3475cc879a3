"""`filon init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import shared

if TYPE_CHECKING:
    from filon.pages import Lang


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--data", required=True, help="File, folder, glob or s3:// URI of the table.")
@click.option("--label", default=None, help="The column to predict; guessed when left out.")
@click.option("--name", default=None, help="Name of the recipe; from the file's name when left out.")
@click.option("--lang", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Language of the comments and the report.")
@click.option("--force", is_flag=True, help="Write over an existing filon.toml.")
@shared
def command(folder: Path, data: str, label: str | None, name: str | None, lang: Lang, force: bool, as_json: bool) -> None:
    """Write a recipe from a look at the data: label guessed, leaks and ids pointed at.

    \b
    Example:
      filon init . --data data/bank.csv
    """
    from filon.api import init
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    made = init(folder, data=data, label=label, name=name, lang=lang, force=force, listen=terminal)
    for line in made.notes:
        terminal.say(f"  {line}")
    terminal.say(f"wrote {made.path}; next: filon check {made.path}", bold=True)
    terminal.result({"recipe": str(made.path), "label": made.label, "notes": made.notes})
