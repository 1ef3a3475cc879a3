"""The search of a recipe that names no family: a short portfolio of settings that do well on most tables."""

from collections.abc import Mapping

from filon.engines.base import FitPlan, Value
from filon.search.budget import thinned
from filon.search.grid import trial
from filon.search.ledger import Ledger
from filon.search.records import Choice
from filon.search.settings import Budget, XGBoostGrid

PORTFOLIO: tuple[Mapping[str, Value], ...] = (
    {"max_depth": 4, "eta": 0.05, "subsample": 0.8, "colsample_bytree": 0.6, "reg_lambda": 5.0, "min_child_weight": 3.0},
    {"max_depth": 6, "eta": 0.03, "subsample": 0.7, "colsample_bynode": 0.3, "reg_lambda": 10.0, "min_child_weight": 5.0},
    {"max_depth": 8, "eta": 0.03, "subsample": 0.8, "colsample_bynode": 0.4, "reg_lambda": 5.0, "min_child_weight": 1.0},
)


def search_default(ledger: Ledger, plan: FitPlan, budget: Budget, seed: int) -> Choice:
    """Fit the portfolio and choose."""
    features = ledger.folds.encoding.features
    categories = sum(feature.kind == "category" for feature in features)
    base = XGBoostGrid(num_round=1000).model_dump()
    trials = [trial(number, "xgboost", {**base, **one}, len(features), categories, seed) for number, one in enumerate(PORTFOLIO, start=1)]
    trials = thinned(trials, budget.trials, seed)
    ledger.total = len(trials)
    ledger.run(trials, plan)
    return ledger.choice()
