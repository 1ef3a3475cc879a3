"""Boosted trees, round by round."""

from collections.abc import Callable
from typing import Any

from filon.engines.base import CurvePoint
from filon.engines.trainer.curves import Curve
from filon.engines.trainer.matrix import Stopped
from filon.engines.trainer.peers import ALONE, Peers

TRAIN_CURVE_ROWS = 50_000
"""The curve of the training rows is computed up to here; above, a sort per round would cost more than the trees."""

CURVE_POINTS = 50
"""Points of a curve that steers nothing: a sort of all rows after every round would cost as much as the trees of a small table."""

Tell = Callable[[float | None], None]
"""Hears that one more round is done, and its validation metric."""


def boost(
    params: dict[str, object],
    rounds: int,
    matrices: tuple[Any, Any],
    curve: Curve,
    tell: Tell,
    stop: Callable[[], bool],
    late: Callable[[], bool],
    peers: Peers = ALONE,
) -> Any:
    """Grow at most `rounds` rounds; every point is added to `curve`.

    Returns
    -------
    the booster; it may hold fewer rounds: early stopping, or the time was up

    Raises
    ------
    Stopped : when `stop` says so, or when the time is up before the first round is done
    """
    import numpy as np
    import xgboost

    train, watch = matrices
    booster = xgboost.Booster({**params, "eval_metric": curve.metric}, [train] if watch is None else [train, watch])
    seen = [] if watch is None else [(watch, "valid")]
    if watch is not None and peers.sum(np.array([train.num_row()]))[0] <= TRAIN_CURVE_ROWS:
        seen.append((train, "train"))
    step = 1 if curve.patience else max(1, rounds // CURVE_POINTS)
    for number in range(1, rounds + 1):
        booster.update(train, number - 1)
        if seen and (number % step == 0 or number in (1, rounds)):
            curve.add(_point(number, booster.eval_set(seen, number - 1)))
        tell(curve.points[-1].valid if seen else None)
        if stop():
            raise Stopped
        if curve.over() or peers.any(late()):
            break
    return booster


def _point(number: int, line: str) -> CurvePoint:
    """A round from XGBoost's line: `[3]\\tvalid-auc:0.91\\ttrain-auc:0.95`."""
    values = {part.split("-")[0]: float(part.rsplit(":", 1)[1]) for part in line.split("\t")[1:]}
    return CurvePoint(round=number, train=values.get("train"), valid=values.get("valid"))
