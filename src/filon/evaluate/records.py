"""What `evaluate` knows when it has looked at the test fold once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from filon.engines.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its bootstrap interval; None where the metric is not defined (`why` says so)."""

    value: float | None
    lower: float | None = None
    upper: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """One feature's share: total gain (sums to 1) and mean |TreeSHAP| in margin units."""

    feature: str
    gain: float
    shap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Metrics of the rows in which `column` is `value`."""

    column: str
    value: str
    rows: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One model on one set of rows: everything a report needs, nothing that grows with rows."""

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
    facts: Mapping[str, object] = field(default_factory=dict)
