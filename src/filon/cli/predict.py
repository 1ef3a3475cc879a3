"""`filon predict`."""

from typing import TYPE_CHECKING

import click

from filon.cli.emr_options import place_options
from filon.cli.options import engine_options, shared, spark_options, spark_settings
from filon.errors import RecipeError

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
@click.option("--stream", is_flag=True, help="Score Parquet files as they arrive in the folder --data, into the folder --out.")
@click.option("--checkpoint", default=None, help="With --stream: the folder of its notes, by which each file is scored once.")
@click.option("--available-now", is_flag=True, help="With --stream: score what is there, then end.")
@click.option("--work", default="", metavar="URI", help="With --stream from Kafka: a folder that this machine and Spark's workers share.")
@click.option("--trust", is_flag=True, help="Open also a model that runs code when it is opened (joblib, pickles).")
@place_options
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
    stream: bool,
    checkpoint: str | None,
    available_now: bool,
    work: str,
    trust: bool,
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
    """Score a table with a bundle; rows in = scored + rejected.

    In place of a bundle: an MLflow model (models:/NAME/VERSION, runs:/ID/NAME or a folder), or a model of scikit-learn, XGBoost or
    LightGBM saved with skops or (with --trust) joblib.

    \b
    Example:
      filon predict runs/bank/20260101_120000-ab12cd34/bundle --data new.csv --out scored.parquet --keep customer_id
      filon predict wine.skops --data wine.csv --drop class --out scored.parquet --engine spark
      filon predict runs/.../bundle --stream --engine spark --data arriving --out scored --checkpoint notes
    """
    spark = spark_settings(engine, master, spark_conf, work, place)
    if place is not None:
        if stream or available_now or checkpoint:
            raise click.UsageError("a stream is scored by --engine spark; --on sends a job that ends")
        from filon.cli.emr_options import send

        named = [word for name, values in (("--keep", keep), ("--drop", drop)) for value in values for word in (name, value)]
        return send("predict", place, recipe, wait, bundle, data, out, (*named, *(("--rejects", rejects) if rejects else ())), as_json)
    from filon.bundles import predict, predict_stream
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    if stream or available_now or checkpoint:
        if not (stream and checkpoint and engine == "spark" and not (drop or trust)):
            raise _stream_option(stream, checkpoint, engine)
        done = predict_stream(
            bundle,
            data,
            out,
            checkpoint=checkpoint,
            keep=keep,
            rejects=rejects,
            available_now=available_now,
            threads=threads,
            memory_mib=memory_mib,
            spark=spark,
            listen=terminal,
        )
        said = f"{done.batches:,} batches: {done.rows:,} rows in = {done.scored:,} scored + {done.rejected:,} rejected -> {out}"
        terminal.say(said, bold=True)
        terminal.result({"out": out, "batches": done.batches, "rows": done.rows, "scored": done.scored, "rejected": done.rejected})
        return 0
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
        spark=spark,
        listen=terminal,
    )
    _say(terminal, written, out)
    return 0


def _stream_option(stream: bool, checkpoint: str | None, engine: str) -> RecipeError:
    lacking = "--stream" if not stream else "--checkpoint FOLDER" if not checkpoint else "--engine spark" if engine != "spark" else ""
    what = f"a stream needs {lacking}" if lacking else "a stream takes a bundle alone: no --drop, no --trust"
    why = "--stream, --engine spark and --checkpoint go together; --available-now goes with them"
    return RecipeError(
        "predict.stream-option", what, why, "filon predict BUNDLE --stream --engine spark --data IN --out OUT --checkpoint NOTES"
    )


def _say(terminal: "Terminal", written: "Written", out: str) -> None:
    terminal.say(f"{written.rows:,} rows in = {written.scored:,} scored + {written.rejected:,} rejected -> {out}", bold=True)
    for reason, rows in written.reasons.items():
        terminal.say(f"  rejected {rows:,}: {reason}", fg="yellow")
    terminal.result({"out": out, "rows": written.rows, "scored": written.scored, "rejected": written.rejected, "reasons": written.reasons})
