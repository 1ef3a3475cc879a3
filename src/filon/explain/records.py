"""What `explain` knows of a model's answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from filon.evaluate import Importance


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependence:
    """How the mean answer moves when one feature is set to a value in every row of a sample (partial dependence).

    values : numbers, or None for missing; names : of categories, "" for numbers
    mean, low, high : by class of `classes`, along the values: the mean probability, and its middle 80 % over the rows
    shares : part of the sample at or next to each value
    """

    feature: str
    values: tuple[float | None, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    mean: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReasons:
    """One row: what was answered, and each feature's contribution to the margin of `answered_for`, strongest first.

    why : which row this is ("highest", "lowest", "nearest", "sample"); key : columns that name it
    bias : the margin of no row in particular; margin : bias and all contributions together
    rest : sum of the contributions that are not listed
    """

    why: str
    key: Mapping[str, str]
    label: str
    probability: float
    answered_for: str
    bias: float
    margin: float
    reasons: tuple[tuple[str, str | float, float], ...]
    rest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A model explained on a sample. `scale` says what a margin is: "log-odds", "log-share" (many classes) or "probability" (forests)."""

    model: str
    version: str
    source: str
    family: str
    scale: str
    classes: tuple[str, ...]
    rows: int
    bias: tuple[float, ...]
    importances: tuple[Importance, ...]
    by_class: Mapping[str, Mapping[str, float]]
    dependences: tuple[Dependence, ...]
    shown: tuple[RowReasons, ...]
