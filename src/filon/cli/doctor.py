"""`filon doctor`."""

from pathlib import Path

import click

from filon.cli.emr_options import job_options
from filon.cli.options import shared


@click.command("doctor")
@job_options
@click.option("--wait", "wait_s", type=click.IntRange(min=0), default=0, metavar="SECONDS", help="How long to wait for logs that are late.")
@shared
def command(run: str, runs: Path, wait_s: int, as_json: bool) -> int:
    """Name the cause of a job's failure, with the lines that tell it and the setting to change.

    \b
    Example:
      filon doctor latest --wait 300
    """
    from filon.cli.emr_options import found
    from filon.cli.terminal import Terminal
    from filon.places.emr.doctor import examine

    terminal = Terminal(as_json)
    place, handle = found(run, runs)
    seen = examine(place.aws, place.bucket, handle, terminal, wait_s=wait_s)
    cause = seen.cause
    step, cluster = ("job run", "application") if handle.facts.get("serverless") else ("step", "cluster")
    terminal.say(f"{step} {handle.facts['step']} {seen.step.lower()}, {cluster} {handle.facts['cluster']} {seen.cluster.lower()}")
    if cause is not None:
        terminal.say(f"{'error' if cause.as_raised else 'cause'}[{cause.code}] {cause.what}", fg="red", bold=True)
        for line in cause.lines:
            terminal.say(f"  {line.file}: {line.text.strip()[:300]}")
        terminal.say(f"  fix  {cause.fix}")
        for note in cause.notes:
            terminal.say(f"  note {note}")
    elif seen.healthy:
        terminal.say("nothing is wrong with it")
    else:
        terminal.say(f"no cause is seen in {seen.lines_read} lines of log; they come late: filon doctor {handle.id} --wait 300")
    terminal.result(
        {"run": handle.id, "step": seen.step, "cluster": seen.cluster, "reason": seen.reason, "cause": cause, "lines_read": seen.lines_read}
    )
    return 1 if cause is not None else 0
