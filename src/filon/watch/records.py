"""What `watch` found: live data against what was learned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from filon.check.records import Finding
from filon.engines.survey import Unit
from filon.evaluate import Interval
from filon.rows.encode import FeatureKind

Test = Literal["kolmogorov-smirnov", "chi-square"]
Share = tuple[float, float]
"""Of training (or expected), and of the live rows; both in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far two distributions are apart. `p` is corrected for everything compared in the run; `alarm` needs it small and one of the
    others large (see `WatchSettings`)."""

    test: Test
    distance: float
    psi: float
    js: float
    p: float
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One feature. `missing`, `unseen`, `outside` are shares (training or expected, live); `alarms` names what is out of bounds.

    expected, live : counts over the cells of `gauge` (see `engines.survey.Gauge`); over_time : the distance by period of `Drift.periods`
    """

    name: str
    kind: FeatureKind
    distance: Distance
    missing: Share
    unseen: Share
    outside: Share
    alarms: tuple[str, ...]
    expected: tuple[float, ...]
    live: tuple[int, ...]
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    over_time: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDrift:
    """The score of one class (two classes: of the second). `seen_share` is the share of rows the model has trained on with which the live
    scores agree best: 0 for new rows, 1 for the training table itself."""

    name: str
    distance: Distance
    seen_share: float
    expected: tuple[float, ...]
    live: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrift:
    """The predicted classes: shares by class, expected and live."""

    distance: Distance
    shares: Mapping[str, Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDrift:
    """One metric: on the test fold, and on the live rows with a label (`live`), or as calibrated scores let expect (`estimate`)."""

    name: str
    test: Interval
    live: Interval | None = None
    estimate: Interval | None = None
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One hour, day, week or month. `begin` is in UTC, ISO 8601, "" for rows without a time; `predicted` are shares by class."""

    begin: str
    rows: int
    labelled: int
    mean_score: float | None
    predicted: Mapping[str, float]
    metrics: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Everything `watch` knows. `findings` are the alarms (level "warning") and remarks (level "info"); `judged` is False when there were
    too few rows; `estimated` metrics come without labels, from the scores alone."""

    model: str
    version: str
    source: str
    rows: int
    labelled: int
    baseline_rows: int
    late: int
    judged: bool
    unit: Unit
    metric: str
    scores: tuple[float, ...]
    columns: tuple[ColumnDrift, ...]
    score: tuple[ScoreDrift, ...]
    classes: ClassDrift
    metrics: tuple[MetricDrift, ...]
    periods: tuple[Period, ...]
    findings: tuple[Finding, ...]

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """What is to be acted on."""
        return tuple(one for one in self.findings if one.level == "warning")
