"""`filon scale`."""

import click

from filon.cli.options import shared


@click.command("scale")
@click.argument("count", type=click.IntRange(min=0))
@click.option("--cluster", default="", metavar="ID", help="The cluster (default: the recipe's places.emr.cluster_id).")
@click.option(
    "--recipe", type=click.Path(path_type=str), default="filon.toml", show_default=True, help="Whose region and node types are used."
)
@shared
def command(count: int, cluster: str, recipe: str, as_json: bool) -> None:
    """Set the number of task nodes of a cluster, up or down (0: none).

    \b
    Example:
      filon scale 4 --cluster j-2AXXXXXXGAPLF
    """
    from filon.cli.terminal import Terminal
    from filon.places.emr.place import Emr
    from filon.places.emr.scale import cluster_to_scale, scale
    from filon.recipe import load_recipe

    terminal = Terminal(as_json)
    place = Emr(load_recipe(recipe).recipe.places.emr)
    done = scale(place.aws, place.ledger, place.settings, cluster_to_scale(place.settings, cluster), count, terminal)
    terminal.say(f"  {done.cluster}: {done.before} to {done.after} task nodes", bold=True)
    terminal.result(done)
