"""`filon runs`."""

from pathlib import Path

import click

from filon.cli.options import shared


@click.command("runs")
@click.argument("root", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"))
@click.option("--name", default=None, help="Only runs of this recipe name.")
@shared
def command(root: Path, name: str | None, as_json: bool) -> None:
    """List runs, best first (by each recipe's own metric, on the test fold).

    \b
    Example:
      filon runs
    """
    from filon.api import run_rows
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    rows = [row for row in run_rows(root) if name in (None, row["name"])]
    terminal.result(rows)
    if not rows:
        terminal.say(f"{root} has no runs; `filon train` makes one")
    elif not as_json:
        _table(rows)


def _table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title, justify in (
        ("run", "left"),
        ("state", "left"),
        ("winner", "left"),
        ("metric", "left"),
        ("test", "right"),
        ("rows", "right"),
        ("seconds", "right"),
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        value = row["test"]
        table.add_row(
            *(str(row[key]) for key in ("run", "state", "winner", "metric")),
            f"{value:.4f}" if isinstance(value, float) else "",
            str(row["rows"]),
            str(row["seconds"]),
        )
    Console(width=max(100, Console().width)).print(table)
