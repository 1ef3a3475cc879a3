"""Options that every command shares."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from filon.engines.settings import SparkSettings

Command = TypeVar("Command", bound=Callable[..., Any])


class Finite(click.FloatRange):
    """A number within a range; `nan`, which compares with no bound, and `inf` are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or click's own refusal (exit 2)."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Page(click.Path):
    """A page to be written; never a file of another kind, such as the recipe in `filon check --html filon.toml`."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or click's own refusal (exit 2)."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.suffix.lower() not in (".html", ".htm"):
            self.fail(f"a page is written there, and {value} does not end in .html.", param, ctx)
        return path


def shared(function: Command) -> Command:
    """Add --json and --debug."""
    function = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")(function)
    return click.option("--json", "as_json", is_flag=True, help="Print one machine-readable line a step, the result last.")(function)


def recipe_options(function: Command) -> Command:
    """Add the recipe argument and --set."""
    function = click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override one value, e.g. search.metric=areaUnderROC."
    )(function)
    return click.argument("recipe", type=click.Path(path_type=str), default="filon.toml")(function)


def engine_options(function: Command) -> Command:
    """Add what says how much of the machine may be used."""
    function = click.option(
        "--memory",
        "memory_mib",
        type=click.IntRange(min=256),
        default=None,
        metavar="MIB",
        help="Memory to stay within (default: half of what is free).",
    )(function)
    function = click.option("--threads", type=click.IntRange(min=1), default=None, help="Cores to use (default: all).")(function)
    return click.option("--engine", type=click.Choice(["embedded", "spark"]), default="embedded", show_default=True, help="What computes.")(
        function
    )


def spark_options(function: Command) -> Command:
    """Add where Spark is, for commands that have no recipe to say it."""
    function = click.option(
        "--spark-conf", "spark_conf", multiple=True, metavar="KEY=VALUE", help="A property of Spark, e.g. spark.executor.memory=8g."
    )(function)
    return click.option("--master", default="", metavar="URL", help="Spark's master, e.g. spark://host:7077 (default: local[*]).")(function)


def spark_settings(engine: str, master: str, spark_conf: tuple[str, ...], work: str = "", place: str | None = None) -> "SparkSettings":
    """The settings that the options say; `work` is said only where something is kept there. Who names a cluster means it."""
    from filon.engines.settings import SparkSettings

    if (master or spark_conf) and (engine != "spark" or place):
        other = f"--on {place} takes the recipe's table [places.{place}]" if place else "the embedded engine works on this machine alone"
        raise click.UsageError(f"--master and --spark-conf go with --engine spark; {other}")
    odd = [pair for pair in spark_conf if "=" not in pair]
    if odd:
        raise click.BadParameter(f"{odd[0]!r} is not KEY=VALUE", param_hint="--spark-conf")
    return SparkSettings(master=master, work=work, conf=dict(pair.split("=", 1) for pair in spark_conf))
