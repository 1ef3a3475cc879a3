"""`filon evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.emr_options import place_options
from filon.cli.options import engine_options, shared, spark_options, spark_settings

if TYPE_CHECKING:
    from filon.pages import Lang


@click.command("evaluate")
@click.argument("bundle", type=str)
@click.option("--data", required=True, help="A labelled table: file, folder, glob or s3:// URI.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the report goes (default: eval_<time>/ in this folder).",
)
@click.option("--lang", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Language of the report.")
@place_options
@engine_options
@spark_options
@shared
def command(
    bundle: str,
    data: str,
    out: Path | None,
    lang: Lang,
    place: str | None,
    wait: bool | None,
    recipe: str,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    master: str,
    spark_conf: tuple[str, ...],
    as_json: bool,
) -> int:
    """Examine a bundle on a labelled table: metrics with intervals, plots and a report.

    \b
    Example:
      filon evaluate runs/bank/20260101_120000-ab12cd34/bundle --data data/2026.csv
    """
    spark = spark_settings(engine, master, spark_conf, place=place)
    if place is not None:
        from filon.cli.emr_options import send

        target = str(out) if out is not None else ""
        return send("evaluate", place, recipe, wait, bundle, data, target, ("--lang", lang), as_json)
    from filon.bundles import evaluate
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    done = evaluate(bundle, data, out=out, lang=lang, engine=engine, threads=threads, memory_mib=memory_mib, spark=spark, listen=terminal)
    for line in done.headlines:
        terminal.say(f"  {line}", bold=True)
    terminal.say(f"  report   {done.path / 'report.html'}")
    terminal.result({"path": str(done.path), "metrics": done.metrics, "headlines": done.headlines})
    return 0
