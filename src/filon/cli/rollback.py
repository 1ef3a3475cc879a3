"""`filon rollback`."""

from pathlib import Path

import click

from filon.cli.options import shared


@click.command("rollback")
@click.argument("recipe", type=click.Path(path_type=str), default="filon.toml")
@click.option("--alias", default="champion", show_default=True, help="The alias of the registered model.")
@click.option("--to", default=None, metavar="VERSION", help="The version to point at (default: the one before).")
@click.option("--why", default="", help="Kept with the change.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where runs are kept (default: runs/ beside the recipe)."
)
@shared
def command(recipe: str, alias: str, to: str | None, why: str, runs: Path | None, as_json: bool) -> None:
    """Let an alias point at the version it pointed at before. Servers that watch it follow.

    \b
    Example:
      filon rollback filon.toml --why "complaints since Monday"
    """
    from filon.cli.terminal import Terminal
    from filon.lifecycle import rollback

    terminal = Terminal(as_json)
    moved = rollback(recipe, alias=alias, to=to, runs=runs, why=why)
    terminal.say(f"{moved.model} {moved.alias} -> version {moved.version} (before: {moved.before or 'none'})", bold=True)
    terminal.result(moved)
