"""The interface of every engine, and the small records that cross it.

A method takes tables and gives a table or a record small enough to print. Tables are opaque to the stages:
nothing here grows with rows (law 5), except what an engine keeps on its own side of the interface.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from filon.engines.answering import Model
from filon.engines.survey import Survey, SurveyPlan
from filon.engines.tally import Tally
from filon.rows.encode import Encoding
from filon.rules import Broken, RulesSettings
from filon.trees import Ensemble

Kind = Literal["number", "category", "boolean", "date", "text", "other"]
"""number: float32 feature; category: text with few values; boolean: feature 0/1; date: date or timestamp (never a
feature by itself); text: free text (never a feature); other: lists, structs, binary (never a feature)."""

Role = Literal["feature", "label", "key", "weight", "time", "dropped", "left-out"]
"""dropped: by the recipe; left-out: by Filon, with a finding that says why."""

FoldName = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a CSV is written. `quote` is "" for none; `names` is given when there is no header; `encoding` is a Python codec name."""

    separator: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    decimal: Literal[".", ","] = "."
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ("",)
    compression: Literal["", "gzip"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a source: `path` is a local path or an s3:// URI, `partition` its hive values (name, text)."""

    path: str
    size_bytes: int
    modified: str = ""
    partition: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table. `stored` is the type in the file ("text" for CSV and hive values, the Arrow type for Parquet),
    `sql` is the DuckDB expression of a derived column ("" for a source column), `why` says why it was left out.

    `format` is the strptime format of dates written as text ("" for ISO 8601). `whole`: a number of a CSV whose sampled cells have no
    decimals, so that the recipe's SQL sees a BIGINT (make_date(year, month, day) needs one). The kind of a derived column that the
    recipe does not declare is a guess until the engine has bound its expression: take it from the table's source."""

    name: str
    kind: Kind
    role: Role = "feature"
    stored: str = "text"
    sql: str = ""
    why: str = ""
    format: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What `read` found: files, format, dialect and the columns with inferred or declared kinds (source columns first, then derived)."""

    format: Literal["csv", "parquet", "capture"]
    """capture: lines of what a server was asked and answered (see `engines.captures`)"""
    files: tuple[File, ...]
    dialect: Dialect | None
    columns: tuple[Column, ...]
    where: str = ""
    origin: str = ""
    """what the recipe said, for messages"""
    base: str = ""
    """the recipe's folder, in which the modules of derived columns are looked for"""

    def names(self, *roles: Role) -> tuple[str, ...]:
        """Names of the columns with one of the roles, in order."""
        return tuple(column.name for column in self.columns if column.role in roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPlan:
    """The label column and its classes in order (texts by `rows.encode.label_text`); for two classes the second is the positive one.

    `classes` is empty until `check` has seen the label's values."""

    column: str
    classes: tuple[str, ...] = ()


class Table(Protocol):
    """An engine's own handle on rows. `source` tells its columns; a table that `score` made has the columns of law 4's answer."""

    @property
    def source(self) -> Source: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts by class over bins. `edges` has one more entry than `counts` has rows; `counts[bin][class]`."""

    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopValue:
    """A value and its rows by class (rows with a missing label are not counted in `by_class`)."""

    value: str
    rows: int
    by_class: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column as it is in all rows (before any split).

    `distinct` counts non-missing values (exact up to 100,000, else within 2 %). Numbers: `minimum` ... `quantiles` (0, .05, .25, .5,
    .75, .95, 1) over finite values, `infinite` cells. `not_numeric` counts cells that do not fit a number, boolean or date column (they
    are missing), with examples (row number from 1, text cut to 40 characters). Category and text: `top` (most frequent first, at most 50;
    ties by text). `histogram` for numbers and dates (seconds since 1970). `auc` is the areaUnderROC of this column alone against the label,
    in its better direction (numbers as they stand or in groups, categories by their positive rate learnt on the other half of the rows, so
    that unique values teach nothing; one class against the rest, the largest, for many classes), `accuracy` the share of rows whose class
    is the most frequent one of their value in the other half; None when not defined. `increasing` : values never fall from one row to the
    next. `top` is also given for numbers of at most 50 values. Counts by class follow `Profile.labels`, the 20 most frequent. Above a
    million rows (or 48 million number cells) quantiles, histograms and rankings of numbers come from an even sample.
    """

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    infinite: int = 0
    not_numeric: int = 0
    not_numeric_examples: tuple[tuple[int, str], ...] = ()
    numeric_text: int = 0
    date_text: int = 0
    integer: bool = False
    increasing: bool = False
    longest: int = 0
    top: tuple[TopValue, ...] = ()
    histogram: Histogram | None = None
    auc: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The whole table in one small record.

    `duplicates` counts rows beyond the first of each set of rows equal in all feature columns and the label; `conflicts` counts rows
    whose feature columns equal those of a row with another label (both among rows with a label). `labels` are the label's texts with
    their rows, most frequent first (at most 1,000)."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    labels: tuple[tuple[str, int], ...]
    label_missing: int
    duplicates: int
    conflicts: int
    bytes_in_memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Membership is a function of the row's content (or key, or time), the seed and the shares (law 1).

    `features` are what the model sees, with their kinds; `weight` names a weight column or is "".
    `balance` multiplies each row's weight by n / (k * n_c) of the training fold."""

    shares: tuple[float, float, float]
    seed: int
    by: Literal["row", "key", "time"]
    stratify: bool
    label: LabelPlan
    features: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time: str = ""
    weight: str = ""
    balance: bool = True
    max_categories: int = 10_000
    test_source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldInfo:
    """One fold: rows, rows by class, and the sum of its row hashes mod 2^64 in hex (16 digits)."""

    rows: int
    by_class: tuple[int, ...]
    digest: str


class Fold(Protocol):
    """An engine's handle on one fold (or a union of folds)."""

    @property
    def names(self) -> tuple[FoldName, ...]: ...
    @property
    def rows(self) -> int: ...


class Folds(Protocol):
    """The split table: encoding learnt from the training fold, counts and digests by fold, and handles.

    `left_out` counts the rows that are in no fold by reason: "label-missing", "label-unknown" (not one of the classes)."""

    plan: SplitPlan
    encoding: Encoding
    info: Mapping[FoldName, FoldInfo]
    class_weights: tuple[float, ...]
    left_out: Mapping[str, int]

    def fold(self, *names: Literal["train", "valid"]) -> Fold:
        """Training, validation, or both as one."""
        ...

    def open_test(self, reason: str) -> Fold:
        """The test fold; each opening is recorded in `openings` (law 3)."""
        ...

    @property
    def openings(self) -> tuple[str, ...]: ...


Value = int | float | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One family with one set of settings, under the family's own names (see `search.settings`).

    `number` counts from 1 in the order of the search; `seed` is drawn from the recipe's seed and the effective settings."""

    number: int
    family: str
    settings: Mapping[str, Value]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One round: the metric of the trainer on the training and validation rows (None where not computed)."""

    round: int
    train: float | None
    valid: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlan:
    """How trials are fitted.

    `train` names the folds fitted on, `valid` is scored (False for the refit: no tally, no early stopping); `rows` caps the
    training rows (0: all), the rows with the lowest hashes are taken; `metric` steers early stopping; `deadline_s` is the time
    left (monotonic seconds from now, None: no limit): a trial not begun by then is not fitted (and not yielded). `part` (k, n) asks for
    cross-validation inside the rows of `train` (small tables): the rows whose hash falls in part k of n are scored, the others
    are fitted on; rows that share a key share a part; a function of content and the split's seed, like the folds. It is never asked for
    when the split is by time (`search.default.tier_of`): the future would teach the past."""

    train: tuple[Literal["train", "valid"], ...] = ("train",)
    valid: bool = True
    rows: int = 0
    metric: str = "areaUnderPR"
    deadline_s: float | None = None
    part: tuple[int, int] | None = None
    rules: RulesSettings | None = None
    """watched for after every round; None watches for nothing (the refit, which repeats a known fit)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A trial's outcome. `ensemble` and `tally` (on the validation fold) are None when it failed: then `error` says why.

    `rounds` is the number of trees or rounds kept; `shared` names what it shared ("prefix of trial 3", "same as trial 2", "")."""

    trial: Trial
    ensemble: Ensemble | None
    tally: Tally | None
    rounds: int
    curve: tuple[CurvePoint, ...] = ()
    curve_metric: str = ""
    seconds: float = 0.0
    shared: str = ""
    error: str = ""
    broken: tuple[Broken, ...] = ()
    """rules that this fit broke, up to its own rounds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where scored rows go: committed by one rename (or one last object). `keep` are the source columns carried along."""

    path: str
    format: Literal["csv", "parquet"]
    keep: tuple[str, ...] = ()
    rejects: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Rows in = scored + rejected; `reasons` counts rejected rows by reason."""

    rows: int
    scored: int
    rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict)


class Engine(Protocol):
    """What computes. Made by `engines.open_engine(name, ...)`; used as a context manager, which frees its scratch space."""

    name: str

    def read(self, source: Source) -> Table:
        """A lazy handle: cells cast to the columns' kinds, derived columns added, `where` applied.

        A cell that cannot be cast is missing here and counted by `profile` (`not_numeric`)."""
        ...

    def profile(self, table: Table, label: LabelPlan) -> Profile:
        """Everything `check` wants to know, in one or few passes; nothing grows with rows."""
        ...

    def split(self, table: Table, plan: SplitPlan) -> Folds:
        """Fold by hash, learn the encoding from the training fold, keep the encoded rows on the engine's side."""
        ...

    def fit(self, folds: Folds, trials: Sequence[Trial], plan: FitPlan) -> Iterator[Fitted]:
        """Yields each trial once, as it comes; a trial that fails is yielded with its error (law 7)."""
        ...

    def score(self, rows: "Table | Fold", ensemble: Ensemble | Model, encoding: Encoding, threshold: float | None = None) -> Table:
        """Lazy. Columns of the result: `probability` by class (list of float32), `label` (text) and the columns of the table.

        A model of another maker is only written: it answers with columns of its own, and has no tally."""
        ...

    def tally(self, scored: Table, by: Sequence[str] = ()) -> Mapping[tuple[str, ...], Tally]:
        """Counts of label by score. Key () is the whole; with `by`, key (column, value) are slices of category features (at most 12 most
        frequent values each)."""
        ...

    def survey(self, scored: Table, plan: SurveyPlan, labels: Table | None = None) -> Survey:
        """How often each feature falls in which cell, how the model answers, and what labels say of it, by period.

        `labels` holds labels that came later, by the columns `plan.named`; without it the label column counts, where there is one."""
        ...

    def write(self, scored: Table, sink: Sink) -> Written:
        """Write beside, then commit once (law 6)."""
        ...

    def sample(self, rows: "Table | Fold", most: int, per_class: int = 0) -> pa.Table:
        """At most `most` rows with the lowest row hashes (and at least `per_class` of each class where there are that many).

        From a Table: its typed source columns. From a Fold: the features under their names as encoded float32, then `label` int32
        (class number) and `weight` float32, names that a feature may have, too: go by places."""
        ...

    def leave(self, folder: Path) -> None:
        """Leave in the run's folder what only this engine knows (nothing, unless it has something): a run has come to its end."""
        ...

    def __enter__(self) -> "Engine": ...
    def __exit__(self, *exc: Any) -> None: ...
