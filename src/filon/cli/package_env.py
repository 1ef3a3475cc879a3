"""`filon package-env`."""

from pathlib import Path

import click

from filon.cli.options import shared


@click.command("package-env")
@click.option("--lane", required=True, metavar="LANE", help="Version lane of the place, e.g. emr-7.13.0 (an unknown one lists them).")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Where the archive goes (.tar.gz).")
@click.option("--extra", multiple=True, metavar="PACKAGE", help="A further package, as pip writes it.")
@click.option(
    "--constraint",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=None,
    help="Versions to take, as name==version lines (default: those installed here).",
)
@click.option(
    "--machine",
    type=click.Choice(["x86_64", "aarch64"]),
    default="x86_64",
    show_default=True,
    help="Processors of the nodes (Graviton: aarch64).",
)
@shared
def command(lane: str, out: Path, extra: tuple[str, ...], constraint: Path | None, machine: str, as_json: bool) -> None:
    """Build the environment that a job takes to a cluster: wheels for the lane's Python and platform, in one archive.

    \b
    Example:
      filon package-env --lane emr-7.13.0 --out environment.tar.gz
    """
    from filon.cli.terminal import Terminal
    from filon.places.environment import build
    from filon.places.lanes import find_lane

    terminal = Terminal(as_json)
    made = build(find_lane(lane), out, extra=extra, constraint=constraint, machine=machine, listen=terminal)
    checked = (
        "imported from in a clean process" if made.checked else "not checked: this machine lacks the lane's Python, or has other processors"
    )
    terminal.say(f"{out}: {made.size_bytes / 2**20:,.0f} MiB, {len(made.packages)} packages for {made.lane}; {checked}", bold=True)
    terminal.say(f"  sha256   {made.sha256}")
    terminal.result({"out": str(out), "lane": made.lane, "sha256": made.sha256, "packages": made.packages, "checked": made.checked})
