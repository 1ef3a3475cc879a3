"""What a Python worker does between two tasks: pyspark collects garbage and reads the list of every zip on its path again, which took a
worker that holds our libraries longer than many a task. Both are made cheap, in workers alone."""

import gc
import sys
import zipimport

_known = 0
"""Modules that were loaded when the collector was last told that what is there will stay."""


def rest() -> None:
    """At the end of a task. Nothing in a process that is no worker of Spark's."""
    global _known
    if "pyspark.worker" not in sys.modules:
        return
    # Forgotten importers cost nothing to refresh; whoever imports from such a zip makes a new one of the list that zipimport keeps
    for path, importer in list(sys.path_importer_cache.items()):
        if isinstance(importer, zipimport.zipimporter):
            del sys.path_importer_cache[path]
    if len(sys.modules) > _known:
        _known = len(sys.modules)
        gc.collect()
        gc.freeze()
