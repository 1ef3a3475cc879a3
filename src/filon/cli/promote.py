"""`filon promote`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import shared
from filon.errors import FINDING_EXIT

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.lifecycle import Moved
    from filon.registry.gates import Gate


@click.command("promote")
@click.argument("run", type=str)
@click.option("--to", "alias", default="champion", show_default=True, help="The alias of the registered model.")
@click.option("--data", default=None, help="Labelled table to compare with the champion on (default: the run's test fold, read again).")
@click.option("--why", default="", help="Kept with the change.")
@click.option("--force", is_flag=True, help="Promote whatever the gates say; needs --why.")
@click.option("--once", is_flag=True, help="Leave it be if this run was promoted to the alias, or refused, before.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True, help="Where runs are kept."
)
@shared
def command(run: str, alias: str, data: str | None, why: str, force: bool, once: bool, runs: Path, as_json: bool) -> int:
    """Let an alias of the registered model point at a run's bundle, if it passes the gates of its recipe.

    Exit code 1 when a gate refuses it; nothing has changed then. Every change is kept in runs/registry.jsonl and in MLflow.

    \b
    Example:
      filon promote latest --to champion --why "spring data"
    """
    from filon.cli.terminal import Terminal
    from filon.lifecycle import promote

    terminal = Terminal(as_json)
    moved = promote(run, to=alias, runs=runs, data=data, why=why, force=force, once=once, listen=terminal)
    tell(terminal, moved)
    terminal.result(moved)
    return 0 if moved.done else FINDING_EXIT


def tell(terminal: "Terminal", moved: "Moved") -> None:
    """What became of a promotion."""
    tell_gates(terminal, moved.gates)
    if moved.done:
        before = f" (before: {moved.before})" if moved.before and moved.before != moved.version else ""
        terminal.say(f"{moved.model} {moved.alias} -> version {moved.version}{before}{' by force' if moved.forced else ''}", bold=True)
    else:
        terminal.say(f'{moved.model} {moved.alias} stays at version {moved.before or "none"}; --force --why "..." overrides', bold=True)


def tell_gates(terminal: "Terminal", gates: "tuple[Gate, ...]") -> None:
    """One line a gate."""
    for gate in gates:
        terminal.say(f"  {'pass' if gate.passed else 'FAIL'}  {gate.gate:<12} {gate.told}")
