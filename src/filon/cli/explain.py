"""`filon explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import engine_options, shared, spark_options, spark_settings

if TYPE_CHECKING:
    from filon.pages import Lang


@click.command("explain")
@click.argument("bundle", type=str)
@click.option("--data", required=True, help="Rows to explain: file, folder, glob or s3:// URI.")
@click.option("--rows", type=click.IntRange(1, 50_000), default=None, help="Rows of the sample (default: 1000, fewer for a large forest).")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the page goes (default: explain_<time>/ in this folder).",
)
@click.option("--lang", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Language of the page.")
@engine_options
@spark_options
@shared
def command(
    bundle: str,
    data: str,
    rows: int | None,
    out: Path | None,
    lang: Lang,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    master: str,
    spark_conf: tuple[str, ...],
    as_json: bool,
) -> None:
    """Why does the model answer so? Exact contributions of all features and of single rows, and partial dependence.

    \b
    Example:
      filon explain runs/bank/20260101_120000-ab12cd34/bundle --data new.csv
    """
    from filon.bundles import explain
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    done = explain(
        bundle,
        data,
        rows=rows,
        out=out,
        lang=lang,
        engine=engine,
        threads=threads,
        memory_mib=memory_mib,
        spark=spark_settings(engine, master, spark_conf),
        listen=terminal,
    )
    for one in done.explained.importances[:5]:
        terminal.say(f"  {one.shap or 0.0:8.4f}  {one.feature}", bold=True)
    terminal.say(f"  page     {done.path / 'explain.html'}")
    terminal.say(f"  rows     {done.path / 'contributions.parquet'}")
    terminal.result({"path": str(done.path), **done.plain})
