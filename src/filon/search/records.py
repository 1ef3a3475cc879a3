"""What `search` leaves: one line a trial, and the choice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from filon.engines.base import CurvePoint, Fitted, Trial, Value
from filon.rules import Broken
from filon.search.settings import FamilyName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One line of trials.jsonl. `key` identifies equal work (family, effective settings, fold digests, rows cap): a resumed
    search repeats no key that is `done` or `failed`. `metrics` are on the validation fold (with `parts` > 0: their means
    over that many parts of train + valid, each scored by models that did not see it). `rows` is the cap on training rows."""

    number: int
    key: str
    family: FamilyName
    settings: Mapping[str, Value]
    seed: int
    state: Literal["done", "failed", "skipped"]
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    rounds: int = 0
    trees: int = 0
    seconds: float = 0.0
    shared: str = ""
    error: str = ""
    curve_metric: str = ""
    curve: tuple[CurvePoint, ...] = ()
    rows: int = 0
    parts: int = 0
    broken: tuple[Broken, ...] = ()
    """rules that the fit broke (of cross-validated trials: each rule once)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of a blend: the trial, the rounds it keeps."""

    trial: Trial
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The winner (a trial with the rounds found), the best fitted trial by family, and every record.

    `members` are the models whose margins are averaged into the winner's one ensemble (empty: the winner alone)."""

    metric: str
    winner: Trial
    rounds: int
    best: Mapping[FamilyName, Fitted]
    records: tuple[TrialRecord, ...]
    members: tuple[Member, ...] = ()
