"""`filon train`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import engine_options, recipe_options, shared

if TYPE_CHECKING:
    from filon.api import Run
    from filon.cli.terminal import Terminal
    from filon.places import Handle
    from filon.remote import Submitted

MORE = {
    "run.disk-full": "with --resume it goes on where it stopped",
    "run.not-writable": "--runs names another folder for runs",
}
"""What training can do beyond the fix of every command that writes a file."""


@click.command("train")
@recipe_options
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this very recipe.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where runs are kept (default: runs/ beside the recipe)."
)
@click.option(
    "--base", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where relative paths of the recipe start (its folder)."
)
@click.option("--on", "place", metavar="PLACE", default=None, help="Run it there, by the recipe's table [places.PLACE]: spark, emr.")
@click.option("--wait/--no-wait", default=None, help="With --on: stay until the job has ended (always where it lives by this process).")
@click.option(
    "--evaluate",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="DATA",
    help="With --on: afterwards examine the bundle on this labelled table.",
)
@engine_options
@shared
def command(
    recipe: str,
    sets: tuple[str, ...],
    resume: bool,
    runs: Path | None,
    base: Path | None,
    place: str | None,
    wait: bool | None,
    evaluate: str | None,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    as_json: bool,
) -> int:
    """Carry a table from its source to a sealed bundle, with its report and its tracked run.

    \b
    Example:
      filon train filon.toml --set search.metric=areaUnderROC
      filon train filon.toml --on spark
    """
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    if place is not None:
        from filon.api import submit

        size = [*(["--threads", str(threads)] if threads else []), *(["--memory", str(memory_mib)] if memory_mib else [])]
        sent = submit(recipe, on=place, sets=sets, runs=runs, wait=wait, evaluate=evaluate, resume=resume, options=size, listen=terminal)
        return tell_sent(terminal, sent)
    if wait is not None or evaluate is not None:
        raise click.UsageError("--wait and --evaluate go with --on; here, `filon evaluate` examines a bundle")
    from filon.api import train
    from filon.errors import SetupError

    try:
        run = train(
            recipe, sets=sets, engine=engine, runs=runs, resume=resume, base=base, threads=threads, memory_mib=memory_mib, listen=terminal
        )
    except SetupError as exc:
        if exc.code in MORE:
            raise SetupError(exc.code, exc.what, exc.why, f"{exc.fix}; {MORE[exc.code]}") from exc
        raise
    return tell_run(terminal, run)


def tell_sent(terminal: "Terminal", sent: "Submitted") -> int:
    """What a place has done, or has taken: its run as `tell_run` says it where it is on this disk."""
    from filon.api import Run
    from filon.runs import read_manifest

    handle = sent.train
    manifest = read_manifest(Path(handle.out)) if handle.out and "://" not in handle.out else None
    if manifest is not None:
        code = tell_run(terminal, Run(Path(handle.out), manifest))
    else:
        code = 0 if handle.state != "failed" else 1
        terminal.say(f"  {handle.state:<8} {handle.id} on {handle.place}", bold=True)
        for name, text in [("out", handle.out), *handle.facts.items()]:
            terminal.say(f"  {name:<8} {text}")
        if code:
            terminal.say("  a finding stopped it, and there is no bundle; findings.json of its run folder tells which")
    exam = sent.evaluation
    if exam is not None:
        terminal.say(f"  {'examined' if exam.state == 'done' else 'to examine':<8} {exam.out}")
        code = code or int(exam.state == "failed")
    if manifest is None:
        terminal.result({**_told(handle), **({"evaluation": _told(exam)} if exam is not None else {})})
    return code


def _told(handle: "Handle") -> dict[str, object]:
    return {"place": handle.place, "id": handle.id, "state": handle.state, "out": handle.out, "facts": handle.facts}


def tell_run(terminal: "Terminal", run: "Run") -> int:
    """Three lines that say what was found, and where everything is."""
    for finding in run.blockers:
        terminal.say(f"blocker[{finding['code']}] {finding['what']}", fg="red", bold=True)
        terminal.say(f"  why  {finding['evidence']}\n  fix  {finding['fix']}")
    for line in run.headlines:
        terminal.say(f"  {line}", bold=True)
    for name, path in run.places.items():
        terminal.say(f"  {name:<8} {path}")
    said = {"run": str(run.path), "state": run.manifest["state"], "headlines": run.headlines, "places": run.places, "metrics": run.metrics}
    terminal.result({**said, "blockers": run.blockers})
    return 1 if run.blockers else 0
