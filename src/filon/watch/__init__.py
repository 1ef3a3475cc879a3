"""Is live data still what was learned? Counts of live rows against the counts sealed with the bundle, never rows in memory.

1. `learn(engine, folds, ...)` : what was learned, as counts; `package` seals it as part of baseline.json.
2. `watch(bundle, asked, engine)` : the `Drift`: columns, score, predicted classes, metrics with and without labels, alarms.
3. `write_watch(folder, drift, lang)` : watch.html and watch.json.
"""

from filon.watch.asking import Asked
from filon.watch.baseline import learn, ranges_of
from filon.watch.records import ClassDrift, ColumnDrift, Distance, Drift, MetricDrift, Period, ScoreDrift
from filon.watch.settings import WatchSettings
from filon.watch.watching import watch
from filon.watch.writing import write_watch

__all__ = [
    "Asked",
    "ClassDrift",
    "ColumnDrift",
    "Distance",
    "Drift",
    "MetricDrift",
    "Period",
    "ScoreDrift",
    "WatchSettings",
    "learn",
    "ranges_of",
    "watch",
    "write_watch",
]
