"""`filon fetch`."""

from pathlib import Path

import click

from filon.cli.emr_options import job_options
from filon.cli.options import shared


@click.command("fetch")
@job_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=None, help="The folder they go to.")
@shared
def command(run: str, runs: Path, out: Path | None, as_json: bool) -> int:
    """Bring a job's outputs home: a training becomes one of the local runs.

    \b
    Example:
      filon fetch latest
    """
    from filon.api import Run
    from filon.cli.emr_options import found
    from filon.cli.terminal import Terminal
    from filon.cli.train import tell_run
    from filon.places.emr.fetch import fetch
    from filon.runs import read_manifest

    terminal = Terminal(as_json)
    place, handle = found(run, runs)
    folder = fetch(place.bucket, handle, terminal, out=out)
    manifest = read_manifest(folder)
    if manifest is not None:
        return tell_run(terminal, Run(folder, manifest))
    terminal.say(f"  {'out':<8} {folder}", bold=True)
    terminal.result({"out": str(folder)})
    return 0
