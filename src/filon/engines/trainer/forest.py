"""Random forests: every tree is grown on the same targets, so that one longer forest holds every shorter one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from filon.engines.trainer.boosting import Tell
from filon.engines.trainer.matrix import Stopped


def grow(
    params: dict[str, object], trees: int, matrix: Any, classes: int, tell: Tell, stop: Callable[[], bool], late: Callable[[], bool]
) -> Any:
    """Grow up to `trees` trees, one round each, whose leaves hold class shares (not yet divided by the number of trees).

    The gradient of the squared error at 0 is -y x weight, and its curvature the weight: a leaf is then the weighted share of its class.
    It is given anew each round, so that nothing is boosted. Many classes share one tree, split by the sum over classes (Gini's index).

    Returns
    -------
    the booster; it may hold fewer trees when the time was up

    Raises
    ------
    Stopped : when `stop` says so
    """
    import xgboost

    label = matrix.get_label()
    weight = matrix.get_weight()
    weight = weight if weight.size else np.ones(len(label), dtype=np.float32)
    if classes == 2:
        gradient, curvature = -label * weight, weight
    else:
        gradient = np.zeros((len(label), classes), dtype=np.float32)
        gradient[np.arange(len(label)), label.astype(np.int64)] = -weight
        curvature = np.repeat(weight[:, None], classes, axis=1)
    booster = xgboost.Booster(params, [matrix])
    for number in range(1, trees + 1):
        booster.boost(matrix, number - 1, grad=gradient, hess=curvature)
        tell(number, None)
        if stop():
            raise Stopped
        if late():
            break
    return booster
