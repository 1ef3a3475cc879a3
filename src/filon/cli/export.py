"""`filon export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import shared

if TYPE_CHECKING:
    from filon.export import Form

FORMS = ("onnx", "xgboost", "treelite", "mlflow", "sagemaker")


@click.command("export")
@click.argument("bundle", type=str)
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="The runtime.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file; for mlflow a folder, for sagemaker model.tar.gz.")
@shared
def command(bundle: str, form: Form, out: Path, as_json: bool) -> None:
    """Write a bundle in the form of another runtime. Its golden rows are asked there first; if one differs, nothing is written.

    \b
    Example:
      filon export runs/bank/20260101_120000-ab12cd34/bundle --to sagemaker --out model.tar.gz
    """
    from filon.cli.terminal import Terminal
    from filon.lifecycle import export

    terminal = Terminal(as_json)
    done = export(bundle, form, out)
    terminal.say(f"{done.path}: {done.rows} golden rows answer the same in {done.form} (largest difference {done.worst:.1e})", bold=True)
    for line in done.told:
        terminal.say(f"  {line}")
    terminal.result(done)
