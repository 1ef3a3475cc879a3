"""The recipe's table `[places]`: one table per place, used with --on."""

from filon.engines.settings import SparkSettings
from filon.places.emr.settings import EmrSettings
from filon.settings import Settings


class PlacesSettings(Settings):
    """Where a recipe may run besides this machine."""

    spark: SparkSettings = SparkSettings()
    emr: EmrSettings = EmrSettings()
