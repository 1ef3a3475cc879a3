"""The records: an ensemble is what every family ends as."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDesign:
    """How a linear model's inputs are made of encoded features: first one column per number, in order: (filled - mean) / scale;
    then, for each category feature in order, one 0/1 column per level and a last one for missing (or a level that is not known).

    `fill`, `mean`, `scale` : one entry per feature (category features: 0, 0, 1)
    `levels` : number of categories per feature (0 for numbers)
    """

    fill: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    levels: tuple[int, ...]

    @property
    def width(self) -> int:
        """Columns of the expanded design."""
        return sum(count + 1 for count in self.levels if count) + sum(1 for count in self.levels if not count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """A fitted set of trees (or a linear model) as XGBoost's own UBJSON.

    model : UBJSON bytes, readable by every XGBoost binding
    link : how margins become probabilities: "identity" (forests: mean of class shares), "logistic" (two classes), "softmax"
    classes : class texts in order; features : number of encoded features; categorical : per feature, split by sets of categories
    rounds : boosting rounds kept (a forest has 1); trees : number of trees
    """

    family: str
    form: Literal["trees", "linear"]
    link: Literal["identity", "logistic", "softmax"]
    model: bytes = field(repr=False)
    classes: tuple[str, ...]
    features: int
    categorical: tuple[bool, ...] = ()
    rounds: int = 0
    trees: int = 0
    design: LinearDesign | None = None
