"""What the commands on jobs share: which job is meant, and the place it ran at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from filon.places.base import Handle
    from filon.places.emr.place import Emr

Command = TypeVar("Command", bound=Callable[..., Any])


def job_options(function: Command) -> Command:
    """Add the argument RUN and --runs."""
    function = click.option(
        "--runs",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        show_default=True,
        help="The folder of runs from which the job was sent.",
    )(function)
    return click.argument("run", default="latest")(function)


def found(run: str, runs: Path) -> tuple[Emr, Handle]:
    """The job meant, and its place."""
    from filon.places.emr.handles import find_handle
    from filon.places.emr.place import emr_of

    handle = find_handle(runs, run)
    return emr_of(handle), handle
