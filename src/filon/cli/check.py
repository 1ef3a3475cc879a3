"""`filon check`."""

from pathlib import Path

import click

from filon.cli.options import Page, engine_options, recipe_options, shared


@click.command("check")
@recipe_options
@click.option("--html", "html", type=Page(), metavar="FILE", default=None, help="Also write the profile page there.")
@click.option("--on", "place", metavar="PLACE", default=None, help="Instead: is everything there for a job at this place (emr)?")
@engine_options
@shared
def command(
    recipe: str,
    sets: tuple[str, ...],
    html: Path | None,
    place: str | None,
    engine: str,
    threads: int | None,
    memory_mib: int | None,
    as_json: bool,
) -> int:
    """Show the effective recipe, the schema, the findings and the cost in rows and memory. No training.

    With --on emr: the production checklist. The account, the roles, the cluster, the network, the table and the price are looked at
    before a job is sent; nothing is made there but a small object, which is deleted again.

    Exits with 1 when a blocker was found.

    \b
    Example:
      filon check filon.toml --html profile.html
      filon check filon.toml --on emr
    """
    from filon.api import check
    from filon.cli.terminal import Terminal

    terminal = Terminal(as_json)
    if place is not None:
        from filon.cli.checklist import tell_checklist

        return tell_checklist(recipe, sets, place, terminal)
    looked = check(recipe, sets=sets, engine=engine, threads=threads, memory_mib=memory_mib, listen=terminal, html=html)
    terminal.say("# The effective recipe", bold=True)
    terminal.say(looked.recipe_toml)
    terminal.say("# The schema", bold=True)
    for column in looked.checked.source.columns:
        why = f"  ({column.why})" if column.why else ""
        terminal.say(f"  {column.name:<32} {column.kind:<9} {column.role}{why}")
    terminal.say("\n# The findings", bold=True)
    for finding in looked.checked.findings:
        tell_finding(terminal, finding.level, finding.code, finding.what, finding.evidence, finding.fix)
    if not looked.checked.findings:
        terminal.say("  none")
    terminal.say("\n# The cost", bold=True)
    for line in looked.cost_lines:
        terminal.say(f"  {line}")
    terminal.result(
        {
            "recipe": looked.recipe,
            "columns": looked.checked.source.columns,
            "findings": looked.checked.findings,
            "cost": looked.cost,
            "blockers": len(looked.checked.blockers),
        }
    )
    return 1 if looked.checked.blockers else 0


def tell_finding(terminal: object, level: str, code: str, what: str, evidence: str, fix: str) -> None:
    """One finding as what, why and fix."""
    colour = {"blocker": "red", "warning": "yellow"}.get(level, "cyan")
    terminal.say(f"{level}[{code}] {what}", fg=colour)  # type: ignore[attr-defined]
    terminal.say(f"  why  {evidence}" + (f"\n  fix  {fix}" if fix else ""))  # type: ignore[attr-defined]
