"""`filon train`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import engine_options, recipe_options, shared

if TYPE_CHECKING:
    from filon.api import Run
    from filon.cli.terminal import Terminal


@click.command("train")
@recipe_options
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this very recipe.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where runs are kept (default: runs/ beside the recipe)."
)
@engine_options
@shared
def command(
    recipe: str,
    sets: tuple[str, ...],
    resume: bool,
    runs: Path | None,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    as_json: bool,
) -> int:
    """Carry a table from its source to a sealed bundle, with its report and its tracked run.

    \b
    Example:
      filon train filon.toml --set search.metric=areaUnderROC
    """
    from filon.api import train
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    run = train(recipe, sets=sets, engine=engine, runs=runs, resume=resume, threads=threads, memory_mib=memory_mib, listen=terminal)
    return tell_run(terminal, run)


def tell_run(terminal: "Terminal", run: "Run") -> int:
    """Three lines that say what was found, and where everything is."""
    for finding in run.blockers:
        terminal.say(f"blocker[{finding['code']}] {finding['what']}", fg="red", bold=True)
        terminal.say(f"  why  {finding['evidence']}\n  fix  {finding['fix']}")
    for line in run.headlines:
        terminal.say(f"  {line}", bold=True)
    for name, path in run.places.items():
        terminal.say(f"  {name:<8} {path}")
    terminal.result(
        {"run": str(run.path), "state": run.manifest["state"], "headlines": run.headlines, "places": run.places, "metrics": run.metrics}
    )
    return 1 if run.blockers else 0
