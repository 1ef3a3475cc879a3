"""`filon status`."""

from pathlib import Path

import click

from filon.cli.options import shared


@click.command("status")
@click.argument("run", default="")
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="The folder of runs from which the jobs were sent.",
)
@shared
def command(run: str, runs: Path, as_json: bool) -> None:
    """Show jobs on EMR: states of step and cluster, and where the outputs are (all jobs, or one).

    \b
    Example:
      filon status
    """
    from filon.cli.terminal import Terminal
    from filon.places.emr.handles import find_handle, list_handles
    from filon.places.emr.status import states

    terminal = Terminal(as_json)
    handles = [find_handle(runs, run)] if run else list_handles(runs)
    rows = [states(handle) for handle in handles]
    for row in rows:
        terminal.say(f"{row['run']}  {row['step_state'].lower()}", bold=True)
        for name in ("cluster", "step", "reason", "out"):
            if row[name]:
                label = row.get(f"{name}_is", name)
                terminal.say(f"  {label:<11} {row[name]}{'  ' + row['cluster_state'].lower() if name == 'cluster' else ''}")
    if not rows:
        terminal.say(f"no job was sent from {runs}; `filon train RECIPE --on emr` sends one")
    terminal.result(rows)
