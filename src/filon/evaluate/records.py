"""What `evaluate` knows when it has looked at the test fold once, and what a report tells around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from filon.check.records import Finding
from filon.engines.base import CurvePoint, FoldInfo, FoldName, Value
from filon.engines.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its bootstrap interval; None where the metric is not defined (`why` says so, see `metrics.Why`)."""

    value: float | None
    lower: float | None = None
    upper: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How the answer moves with one feature: rows of the sample with like values, and their mean TreeSHAP with the middle 80 %.

    `name` is the category (or "" for numbers), `low` and `high` the range of the number; `missing` rows have no value."""

    name: str
    low: float | None
    high: float | None
    missing: bool
    rows: int
    shap: float
    shap_low: float
    shap_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """One feature's share: total gain (sums to 1) and mean |TreeSHAP| in margin units (many classes: mean over classes).

    `effects` are given for two classes and the most important features; `rows` is how many rows TreeSHAP was computed on."""

    feature: str
    gain: float
    shap: float | None = None
    rows: int = 0
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Metrics of the rows in which `column` is `value`.

    `interval` is that of the metric slices are compared by (areaUnderROC for two classes, accuracy for many), widened for the
    number of slices looked at; `below` says that it ends under the value of all rows: worse there by more than chance."""

    column: str
    value: str
    rows: int
    metrics: Mapping[str, float | None]
    interval: Interval = Interval(value=None)
    below: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One model on one set of rows: everything a report needs, nothing that grows with rows.

    `confusion` is at `threshold` for two classes (true by predicted), of the most probable class for many; `at_threshold` has
    precision, recall, specificity, f1 (of the positive class), accuracy, balanced_accuracy, called and the counts tn, fp, fn, tp;
    it is empty for many classes. `confidence` is that of every interval."""

    title: str
    classes: tuple[str, ...]
    tally: Tally
    metrics: Mapping[str, Interval]
    by_class: Mapping[str, Mapping[str, float | None]]
    threshold: float | None
    at_threshold: Mapping[str, float | None]
    confusion: tuple[tuple[float, ...], ...]
    importances: tuple[Importance, ...]
    slices: tuple[Slice, ...]
    at_threshold_intervals: Mapping[str, Interval] = field(default_factory=dict)
    confidence: float = 0.95
    facts: Mapping[str, object] = field(default_factory=dict)


class TrialLine(Protocol):
    """What a report reads of a trial: `search.records.TrialRecord` has it (search stands above this room, so it is named by its shape)."""

    @property
    def number(self) -> int: ...
    @property
    def family(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Value]: ...
    @property
    def state(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, float | None]: ...
    @property
    def rounds(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def shared(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def curve_metric(self) -> str: ...
    @property
    def curve(self) -> Sequence[CurvePoint]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a report tells around the exam. Whatever is left out is not told: `filon evaluate` knows no trials, and has no validation fold.

    run : the run's id, or the bundle's; created_at : UTC, ISO 8601; version : Filon's
    source : where the table is, as the recipe says; label, family : the label column and the family of the model
    folds, class_weights : of the split; examined : the fold that the exam is about, or any other word for rows given by hand
    metric : what the search was judged by; winner : number of the winning trial; settings, rounds : the model's
    valid : the winner's metrics on the validation fold
    openings : the reasons the test fold was opened for; seconds : of each stage
    facts : what it takes to make this again, in order (hashes, seeds, versions), name to text
    """

    run: str
    version: str
    created_at: str = ""
    source: str = ""
    label: str = ""
    family: str = ""
    examined: str = "test"
    folds: Mapping[FoldName, FoldInfo] = field(default_factory=dict)
    class_weights: Sequence[float] = ()
    findings: Sequence[Finding] = ()
    metric: str = ""
    trials: Sequence[TrialLine] = ()
    winner: int = 0
    settings: Mapping[str, Value] = field(default_factory=dict)
    rounds: int = 0
    valid: Mapping[str, float | None] = field(default_factory=dict)
    openings: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
