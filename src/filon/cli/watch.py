"""`filon watch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import engine_options, shared, spark_options, spark_settings

if TYPE_CHECKING:
    from filon.pages import Lang


@click.command("watch")
@click.argument("bundle", type=str)
@click.option("--data", default="", help="Live rows: file, folder, glob or s3:// URI.")
@click.option("--capture", default="", help="What a server captured: the folder of `filon serve --capture`, or of a SageMaker endpoint.")
@click.option("--since", default="", metavar="SPAN", help="Only rows since then: 90m, 24h, 7d, 2w, or a moment (needs a time).")
@click.option("--labels", default="", help="A table of labels that came later, joined by event_id, inference_id or the recipe's key.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override one threshold, e.g. watch.psi=0.2.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the page goes (default: watch_<time>/ in this folder).",
)
@click.option("--lang", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Language of the page.")
@engine_options
@spark_options
@shared
def command(
    bundle: str,
    data: str,
    capture: str,
    since: str,
    labels: str,
    sets: tuple[str, ...],
    out: Path | None,
    lang: Lang,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    master: str,
    spark_conf: tuple[str, ...],
    as_json: bool,
) -> int:
    """Is live data still what was learned? Exits with 1 on an alarm.

    \b
    Example:
      filon watch runs/bank/20260101_120000-ab12cd34/bundle --capture capture/ --since 7d
    """
    from filon.bundles import watch
    from filon.check.wording import translate
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    done = watch(
        bundle,
        data=data,
        capture=capture,
        since=since,
        labels=labels,
        sets=sets,
        out=out,
        lang=lang,
        engine=engine,
        threads=threads,
        memory_mib=memory_mib,
        spark=spark_settings(engine, master, spark_conf),
        listen=terminal,
    )
    drift = done.drift
    for one in drift.findings:
        said = translate(one, lang)
        terminal.say(
            f"  {'alarm' if one.level == 'warning' else 'note '}  {said.what}: {said.evidence}",
            fg="red" if one.level == "warning" else "yellow",
        )
    if labels:
        terminal.say(f"  labels   {drift.labelled:,} of {drift.rows:,} rows have one")
    if not drift.alarms and drift.judged:
        terminal.say(f"  no alarm: {drift.rows:,} rows look like the {drift.baseline_rows:,} of training", bold=True)
    terminal.say(f"  page     {done.path / 'watch.html'}")
    terminal.result({"path": str(done.path), **done.plain})
    return 1 if drift.alarms else 0
