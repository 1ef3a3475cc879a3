"""How good, how sure, for whom: one model on one set of rows, from tallies alone.

In the order of a run:

1. `choose_threshold(tally_valid, settings)` : the decision threshold of two classes, on the validation fold.
2. `measure_importance(ensemble, encoding, engine.sample(fold, rows_to_explain(ensemble, settings)))` : gain and TreeSHAP, most important
   first.
3. `slice_columns(encoding, importances, settings)` : what to slice by; then `engine.tally(scored, by=columns)` opens the rows once.
4. `examine(tallies, settings, threshold, ...)` : the `Exam`: metrics with intervals, decision, classes, slices.
5. `summary(exam, context, families, features)` : the dict of metrics/summary.json; `importances_csv(exam)` : feature_importances.csv.
6. `write_report(folder, exam, context, lang)` : EVALUATION_REPORT.md, report.html and the five plots; `headlines(exam, context, lang)` :
   what was found, in three lines.

`filon evaluate` also calls `evaluation(exam, context)` for metrics.json and `importances(exam)` for feature_importance.json.
A `Context` tells what the report says around the exam; whatever it leaves out is not told. Metrics by name: `filon.evaluate.metrics`.
"""

from filon.evaluate.dashboard import FAMILY_NAMES, FamilyResult, evaluation, importances, importances_csv, summary
from filon.evaluate.exam import examine
from filon.evaluate.importance import measure_importance, rows_to_explain, slice_columns
from filon.evaluate.records import Context, Effect, Exam, Importance, Interval, Slice
from filon.evaluate.report import headlines, report_files, write_report
from filon.evaluate.settings import EvaluateSettings
from filon.evaluate.thresholds import choose_threshold

__all__ = [
    "FAMILY_NAMES",
    "Context",
    "Effect",
    "EvaluateSettings",
    "Exam",
    "FamilyResult",
    "Importance",
    "Interval",
    "Slice",
    "choose_threshold",
    "evaluation",
    "examine",
    "headlines",
    "importances",
    "importances_csv",
    "measure_importance",
    "report_files",
    "rows_to_explain",
    "slice_columns",
    "summary",
    "write_report",
]
