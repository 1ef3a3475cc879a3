"""`[search]`: families, their grids, and the budget. A list is an axis of the grid."""

from typing import Annotated, Literal

from pydantic import Field

from filon.settings import Settings

Ints = int | tuple[int, ...]
Floats = float | tuple[float, ...]
Subset = Literal["auto", "all", "sqrt", "log2", "onethird"] | Annotated[float, Field(gt=0, le=1)]

METRICS = ("areaUnderROC", "areaUnderPR", "average_precision", "accuracy", "f1", "weightedPrecision", "weightedRecall", "logLoss", "brier")
MetricName = Literal[
    "areaUnderROC", "areaUnderPR", "average_precision", "accuracy", "f1", "weightedPrecision", "weightedRecall", "logLoss", "brier"
]
FamilyName = Literal["xgboost", "random_forest", "gbt", "logistic_regression"]
FAMILIES: tuple[FamilyName, ...] = ("xgboost", "random_forest", "gbt", "logistic_regression")


class XGBoostGrid(Settings):
    """Boosted trees under XGBoost's own names; num_round stops early on the validation fold."""

    max_depth: Ints = 6
    eta: Floats = 0.1
    num_round: Ints = 400
    min_child_weight: Floats = 1.0
    subsample: Floats = 1.0
    colsample_bytree: Floats = 1.0
    colsample_bynode: Floats = 1.0
    reg_lambda: Floats = 1.0
    reg_alpha: Floats = 0.0
    gamma: Floats = 0.0
    max_bin: Ints = 256
    max_leaves: Ints = 0
    categories: Literal["native", "ordinal"] | tuple[Literal["native", "ordinal"], ...] = Field(
        default="native", description="native: splits by sets of categories (features of up to 200); ordinal: by frequency rank"
    )
    balance: Floats = Field(
        default=1.0, description="how much of search.balance counts: class weights to this power; 1: as they are, 0: not at all"
    )
    early_stopping_rounds: int = Field(default=50, ge=0, description="0 turns early stopping off")
    library: Literal["xgboost"] = "xgboost"


class RandomForestGrid(Settings):
    """Random forests under Spark MLlib's names."""

    numTrees: Ints = 400
    maxDepth: Ints = 14
    maxBins: Ints = 128
    featureSubsetStrategy: Subset | tuple[Subset, ...] = "sqrt"
    minInstancesPerNode: Ints = 1
    subsamplingRate: Floats = 1.0
    library: Literal["xgboost", "mllib"] = "xgboost"


class GBTGrid(Settings):
    """Boosted trees under Spark MLlib's names; no early stopping: maxIter is what it says."""

    maxDepth: Ints = 6
    maxBins: Ints = 128
    maxIter: Ints = 100
    stepSize: Floats = 0.1
    minInstancesPerNode: Ints = 1
    subsamplingRate: Floats = 1.0
    library: Literal["xgboost", "mllib"] = "xgboost"


class LogisticRegressionGrid(Settings):
    """A linear model under Spark MLlib's names; missing numbers take the mean, categories one column each."""

    regParam: Floats = 0.01
    elasticNetParam: Floats = 0.0
    maxIter: int = 200


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
