"""The trainer's own metrics: one per round, close to the metric the search is judged by."""

from filon.engines.base import CurvePoint
from filon.rules import Broken, RulesSettings, Watcher

_TWO = {
    "areaUnderROC": "auc",
    "areaUnderPR": "aucpr",
    "average_precision": "aucpr",
    "accuracy": "error",
    "logLoss": "logloss",
    "brier": "rmse",
}
_MANY = {"areaUnderROC": "auc", "areaUnderPR": "aucpr", "average_precision": "aucpr", "accuracy": "merror", "logLoss": "mlogloss"}
_RISING = {"auc", "aucpr"}


def metric_of(metric: str, classes: int) -> str:
    """XGBoost's name of what steers a fit; metrics that depend on a threshold (f1, precision, recall) are steered by the log loss."""
    return _TWO.get(metric, "logloss") if classes == 2 else _MANY.get(metric, "mlogloss")


class Curve:
    """Points as they come (every round when `patience` is not 0), and the round to stop at."""

    def __init__(self, metric: str, patience: int, rules: RulesSettings | None = None) -> None:
        self.metric, self.patience = metric, patience
        self.watcher = Watcher(rules, metric in _RISING)
        self.points: list[CurvePoint] = []
        self._peaks: list[int] = []  # by point: the best round until then

    def add(self, point: CurvePoint) -> None:
        """One more round."""
        best = self._peaks[-1] if self._peaks else 0
        better = not best or self._height(point) > self._height(self.points[best - 1])
        self.points.append(point)
        self._peaks.append(len(self.points) if better else best)
        self.watcher(self.points)

    def best(self, rounds: int) -> int:
        """Rounds kept by a fit of at most `rounds`: the best on validation; all of them without validation or patience.

        The same as if the fit had been given that many rounds: a longer fit only saw more after them."""
        if not self.patience or not self.points or self.points[0].valid is None:
            return rounds
        return self._peaks[min(rounds, len(self.points)) - 1]

    def over(self) -> bool:
        """Whether nothing better has come for `patience` rounds, or a rule ends the fit."""
        seen = len(self.points)
        return self.watcher.stopped or (bool(self.patience) and bool(seen) and seen - self.best(seen) >= self.patience)

    def broken(self, rounds: int) -> tuple[Broken, ...]:
        """Rules broken within so many rounds."""
        return tuple(one for one in self.watcher.broken if one.round <= rounds)

    def _height(self, point: CurvePoint) -> float:
        value = point.valid
        if value is None or value != value:  # a metric that is not defined is never the best
            return float("-inf")
        return value if self.metric in _RISING else -value
