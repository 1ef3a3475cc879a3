"""What `search` leaves: one line a trial, and the choice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from filon.engines.base import CurvePoint, Fitted, Trial, Value
from filon.search.settings import FamilyName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One line of trials.jsonl. `key` identifies equal work (family, effective settings, fold digests, rows cap): a resumed
    search repeats no key that is `done` or `failed`. `metrics` are on the validation fold."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The winner (a trial with the rounds found), the best fitted trial by family, and every record."""

    metric: str
    winner: Trial
    rounds: int
    best: Mapping[FamilyName, Fitted]
    records: tuple[TrialRecord, ...]
