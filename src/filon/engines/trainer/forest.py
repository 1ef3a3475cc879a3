"""Random forests: every tree is grown on the same targets, so that one longer forest holds every shorter one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from filon.engines.trainer.boosting import Tell
from filon.engines.trainer.matrix import Stopped


def grow(
    params: dict[str, object],
    trees: int,
    rate: float,
    matrix: Any,
    classes: int,
    tell: Tell,
    stop: Callable[[], bool],
    late: Callable[[], bool],
) -> Any:
    """Grow up to `trees` trees, one round each, whose leaves hold class shares (not yet divided by the number of trees).

    The gradient of the squared error at 0 is -y x times drawn, and its curvature the times drawn: a leaf is then the share of its class.
    It is given anew each round, so nothing is boosted. XGBoost's own sampling is without replacement, which makes trees more alike.

    Parameters
    ----------
    rate : rows of a bootstrap as a share of all; a row is drawn Poisson(rate x weight / mean weight) times (docs/adr/0041)

    Returns
    -------
    the booster; it may hold fewer trees when the time was up

    Raises
    ------
    Stopped : when `stop` says so
    """
    import xgboost

    label, weight = matrix.get_label(), matrix.get_weight()
    often = rate * (weight / weight.mean(dtype=np.float64) if weight.size else np.ones(len(label)))
    whole = np.zeros((len(label), classes), dtype=np.float32)
    whole[np.arange(len(label)), label.astype(np.int64)] = 1
    target = whole[:, 1] if classes == 2 else whole  # many classes: a tree each, on the same draw
    booster = xgboost.Booster(params, [matrix])
    for number in range(1, trees + 1):
        drawn = np.random.default_rng((int(str(params["seed"])), number)).poisson(often).astype(np.float32)
        times = drawn if classes == 2 else np.repeat(drawn[:, None], classes, axis=1)
        booster.boost(matrix, number - 1, grad=-target * times, hess=times)
        tell(number, None)
        if stop():
            raise Stopped
        if late():
            break
    return booster
