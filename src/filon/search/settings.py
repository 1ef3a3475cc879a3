"""`[search]`: families, their grids, and the budget. A list is an axis of the grid."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from filon.settings import Settings

T = TypeVar("T")


def _some(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and not value:
        raise ValueError("an empty list leaves nothing to try")
    return value


Axis = Annotated[T | Annotated[tuple[T, ...], Field(min_length=1)], BeforeValidator(_some)]
"""One value, or a list of some: an axis of the grid."""

Count = Annotated[int, Field(ge=1)]
Depth = Annotated[int, Field(ge=0)]
Bins = Annotated[int, Field(ge=2)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Subset = Literal["auto", "all", "sqrt", "log2", "onethird"] | Share

METRICS = ("areaUnderROC", "areaUnderPR", "average_precision", "accuracy", "f1", "weightedPrecision", "weightedRecall", "logLoss", "brier")
MetricName = Literal[
    "areaUnderROC", "areaUnderPR", "average_precision", "accuracy", "f1", "weightedPrecision", "weightedRecall", "logLoss", "brier"
]
FamilyName = Literal["xgboost", "random_forest", "gbt", "logistic_regression"]
FAMILIES: tuple[FamilyName, ...] = ("xgboost", "random_forest", "gbt", "logistic_regression")


class XGBoostGrid(Settings):
    """Boosted trees under XGBoost's own names; num_round stops early on the validation fold."""

    max_depth: Axis[Depth] = 6
    eta: Axis[Rate] = 0.1
    num_round: Axis[Count] = 400
    min_child_weight: Axis[Weight] = 1.0
    subsample: Axis[Share] = 1.0
    colsample_bytree: Axis[Share] = 1.0
    colsample_bynode: Axis[Share] = 1.0
    reg_lambda: Axis[float] = 1.0
    reg_alpha: Axis[Weight] = 0.0
    gamma: Axis[Weight] = 0.0
    max_bin: Axis[Bins] = 256
    max_leaves: Axis[Depth] = 0
    categories: Axis[Literal["native", "ordinal"]] = Field(
        default="native", description="native: splits by sets of categories (features of up to 200); ordinal: by frequency rank"
    )
    balance: Axis[Weight] = Field(
        default=1.0, description="how much of search.balance counts: class weights to this power; 1: as they are, 0: not at all"
    )
    early_stopping_rounds: int = Field(default=50, ge=0, description="0 turns early stopping off")
    library: Literal["xgboost"] = "xgboost"


class RandomForestGrid(Settings):
    """Random forests under Spark MLlib's names."""

    numTrees: Axis[Count] = 400
    maxDepth: Axis[Count] = 14
    maxBins: Axis[Bins] = 128
    featureSubsetStrategy: Axis[Subset] = "sqrt"
    minInstancesPerNode: Axis[Count] = 1
    subsamplingRate: Axis[Share] = 1.0
    library: Literal["xgboost", "mllib"] = "xgboost"


class GBTGrid(Settings):
    """Boosted trees under Spark MLlib's names; no early stopping: maxIter is what it says."""

    maxDepth: Axis[Count] = 6
    maxBins: Axis[Bins] = 128
    maxIter: Axis[Count] = 100
    stepSize: Axis[Rate] = 0.1
    minInstancesPerNode: Axis[Count] = 1
    subsamplingRate: Axis[Share] = 1.0
    library: Literal["xgboost", "mllib"] = "xgboost"


class LogisticRegressionGrid(Settings):
    """A linear model under Spark MLlib's names; missing numbers take the mean, categories one column each."""

    regParam: Axis[Weight] = 0.01
    elasticNetParam: Axis[Annotated[float, Field(ge=0, le=1)]] = 0.0
    maxIter: Count = 200


class Budget(Settings):
    """How much searching is worth."""

    strategy: Literal["auto", "grid", "halving", "tpe"] = Field(
        default="auto", description="auto: the built-in search when no family is named, else the grid"
    )
    trials: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    dollars: float | None = Field(default=None, gt=0, description="on places that charge")


class SearchSettings(Settings):
    """Which families, which settings, judged by which metric."""

    metric: MetricName = "areaUnderPR"
    balance: Literal["weights", "none"] = Field(default="weights", description="class weights n / (k * n_c), or none")
    rows: int = Field(
        default=1_000_000, ge=1000, description="trials see at most this many training rows, chosen by hash; the winner is refitted on all"
    )
    xgboost: XGBoostGrid | None = None
    random_forest: RandomForestGrid | None = None
    gbt: GBTGrid | None = None
    logistic_regression: LogisticRegressionGrid | None = None
    budget: Budget = Budget()
