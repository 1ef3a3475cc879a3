"""`filon predict`."""

from pathlib import Path

import click

from filon.cli.options import engine_options, shared


@click.command("predict")
@click.argument("bundle", type=str)
@click.option("--data", required=True, help="File, folder, glob or s3:// URI of the rows to score.")
@click.option("--out", required=True, help="Where the scored rows go: .parquet or .csv (committed by one rename).")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Columns carried along (default: the recipe's key; '*' for all).")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    default=None,
    help="Where rows that cannot be scored go, with their reason (default: beside --out).",
)
@engine_options
@shared
def command(
    bundle: str,
    data: str,
    out: str,
    keep: tuple[str, ...],
    rejects: Path | None,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    as_json: bool,
) -> None:
    """Score a table with a bundle; rows in = scored + rejected.

    \b
    Example:
      filon predict runs/bank/20260101_120000-ab12cd34/bundle --data new.csv --out scored.parquet --keep customer_id
    """
    from filon.api import predict
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    written = predict(bundle, data, out, keep=keep, rejects=rejects, engine=engine, threads=threads, memory_mib=memory_mib, listen=terminal)
    terminal.say(f"{written.rows:,} rows in = {written.scored:,} scored + {written.rejected:,} rejected -> {out}", bold=True)
    for reason, rows in written.reasons.items():
        terminal.say(f"  rejected {rows:,}: {reason}", fg="yellow")
    terminal.result({"out": out, "rows": written.rows, "scored": written.scored, "rejected": written.rejected, "reasons": written.reasons})
