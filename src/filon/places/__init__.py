"""Where it happens: `open_place` gives a place by its name."""

from filon.errors import RecipeError
from filon.places.base import Handle, Job, RunsJobs
from filon.places.settings import PlacesSettings

__all__ = ["PLACES", "Handle", "Job", "PlacesSettings", "RunsJobs", "open_place"]

PLACES: tuple[str, ...] = ("spark", "emr", "dry-run")
"""names for --on, in the order of the help"""


def open_place(name: str, settings: PlacesSettings) -> RunsJobs:
    """A place by its name.

    Parameters
    ----------
    name : one of `PLACES`
    settings : the recipe's table `[places]`

    Raises
    ------
    RecipeError : `places.unknown`
    """
    if name == "spark":
        from filon.places.spark_cluster import SparkCluster

        return SparkCluster(settings.spark)
    if name == "emr":
        from filon.places.emr.place import open_emr

        return open_emr(settings.emr, strategy=settings.spark.strategy)
    if name == "dry-run":
        from filon.places.dry_run import DryRun

        return DryRun(settings)
    raise RecipeError("places.unknown", f'there is no place "{name}"', f"the places are {', '.join(PLACES)}", "--on spark")
