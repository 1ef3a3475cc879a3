"""`filon logs`."""

from collections.abc import Iterator
from pathlib import Path

import click

from filon.cli.emr_options import job_options
from filon.cli.options import shared


@click.command("logs")
@job_options
@click.option("--follow", is_flag=True, help="Go on until the job has ended and its last logs are there.")
@click.option("--stderr", "stderr_only", is_flag=True, help="Only what was written to standard error.")
@shared
def command(run: str, runs: Path, follow: bool, stderr_only: bool, as_json: bool) -> None:
    """Show a job's logs: of its step, its containers and the nodes' bootstrap, merged in the order of time.

    \b
    Example:
      filon logs latest --follow --stderr
    """
    from filon.cli.emr_options import found
    from filon.cli.terminal import Terminal
    from filon.places.emr.follow import look
    from filon.places.emr.logs import Reader, absent, follow_logs

    terminal = Terminal(as_json)
    place, handle = found(run, runs)
    reader = Reader(bucket=place.bucket, handle=handle, stderr_only=stderr_only)

    def ended() -> Iterator[bool]:
        while True:
            yield look(place.aws, handle).ended

    lines = follow_logs(reader, ended()) if follow else iter(reader.news())
    count = 0
    for count, one in enumerate(lines, 1):  # noqa: B007 - counted for what comes after
        if as_json:
            terminal.result({"file": one.line.file, "at": one.at, "text": one.line.text})
        else:
            click.echo(f"{_short(one.line.file)} | {one.line.text}")
    if not count:
        raise absent(handle)


def _short(name: str) -> str:
    """The end of a log's name: enough to tell files apart.

    >>> _short("containers/application_1_0001/container_1_0001_01_000002/stderr.gz")
    '000002/stderr'
    """
    parts = name.removesuffix(".gz").split("/")
    return "/".join([parts[-2].rpartition("_")[2][-6:], parts[-1]]) if parts[0] == "containers" else parts[-1]
