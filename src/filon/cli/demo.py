"""`filon demo`."""

from pathlib import Path

import click

from filon.cli.options import engine_options, shared


@click.command("demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("filon-demo"),
    show_default=True,
    help="Where the table, the recipe and the run go.",
)
@click.option("--lang", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Language of the report.")
@engine_options
@shared
def command(folder: Path, lang: str, engine: str, threads: int | None, memory_mib: int | None, as_json: bool) -> int:
    """Train on 327,346 real flights: which arrive more than 30 minutes late? A recipe that you have edited there is kept.

    \b
    Example:
      filon demo
    """
    from filon.api import train
    from filon.cli.terminal import Terminal
    from filon.cli.train import tell_run
    from filon.demo import is_edited, write_demo

    terminal = Terminal(as_json)
    terminal.say("Writing 327,346 flights of 2013 and the weather of their hour ...")
    if is_edited(folder / "filon.toml"):
        terminal.say(f"{folder / 'filon.toml'} was edited: it is kept as it is, and trained with.")
    recipe = write_demo(folder, lang)
    run = train(recipe, engine=engine, threads=threads, memory_mib=memory_mib, listen=terminal)
    return tell_run(terminal, run)
