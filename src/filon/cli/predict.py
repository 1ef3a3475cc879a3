"""`filon predict`."""

from typing import TYPE_CHECKING

import click

from filon.cli.options import engine_options, shared, spark_options, spark_settings

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.engines.base import Written


@click.command("predict")
@click.argument("bundle", type=str)
@click.option("--data", required=True, help="File, folder, glob or s3:// URI of the rows to score.")
@click.option("--out", required=True, help="Where the scored rows go: .parquet or .csv (committed at once).")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Columns carried along (default: the recipe's key; '*' for all).")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Columns that are no features, for a model that knows no names.")
@click.option("--rejects", default=None, help="Where rows that cannot be scored go, with their reason (default: beside --out).")
@click.option("--trust", is_flag=True, help="Open also a model that runs code when it is opened (joblib, pickles).")
@engine_options
@spark_options
@shared
def command(
    bundle: str,
    data: str,
    out: str,
    keep: tuple[str, ...],
    drop: tuple[str, ...],
    rejects: str | None,
    trust: bool,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    master: str,
    spark_conf: tuple[str, ...],
    as_json: bool,
) -> None:
    """Score a table with a bundle; rows in = scored + rejected.

    In place of a bundle: an MLflow model (models:/NAME/VERSION, runs:/ID/NAME or a folder), or a model of scikit-learn, XGBoost or
    LightGBM saved with skops or (with --trust) joblib.

    \b
    Example:
      filon predict runs/bank/20260101_120000-ab12cd34/bundle --data new.csv --out scored.parquet --keep customer_id
      filon predict wine.skops --data wine.csv --drop class --out scored.parquet --engine spark
    """
    from filon.api import predict
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    written = predict(
        bundle,
        data,
        out,
        keep=keep,
        drop=drop,
        rejects=rejects,
        trust=trust,
        engine=engine,
        threads=threads,
        memory_mib=memory_mib,
        spark=spark_settings(master, spark_conf),
        listen=terminal,
    )
    _say(terminal, written, out)


def _say(terminal: "Terminal", written: "Written", out: str) -> None:
    terminal.say(f"{written.rows:,} rows in = {written.scored:,} scored + {written.rejected:,} rejected -> {out}", bold=True)
    for reason, rows in written.reasons.items():
        terminal.say(f"  rejected {rows:,}: {reason}", fg="yellow")
    terminal.result({"out": out, "rows": written.rows, "scored": written.scored, "rejected": written.rejected, "reasons": written.reasons})
