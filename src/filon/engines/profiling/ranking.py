"""How well one column alone ranks or tells the label: from counts by value and class."""

import numpy as np

PRIOR_ROWS = 1.0
"""Pseudo-rows at the overall rate, so that a value unseen in one half gets the overall rate in the other."""


def area(scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float | None:
    """areaUnderROC from counts by score; ties count half.

    Parameters
    ----------
    scores, positives, negatives : (groups,) float64

    Returns
    -------
    in [0, 1], or None when one class has no rows

    >>> area(np.array([0.1, 0.9]), np.array([0.0, 5.0]), np.array([5.0, 0.0]))
    1.0
    """
    all_positives, all_negatives = float(positives.sum()), float(negatives.sum())
    if all_positives == 0 or all_negatives == 0:
        return None
    values, group = np.unique(scores, return_inverse=True)
    up = np.bincount(group, positives, len(values))
    down = np.bincount(group, negatives, len(values))
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / (all_positives * all_negatives))


def ordered_area(positives: np.ndarray, negatives: np.ndarray, missing: tuple[float, float]) -> float | None:
    """The best areaUnderROC of a number as it stands: either direction, missing cells below or above all others.

    Parameters
    ----------
    positives, negatives : (distinct values,) float64 counts in ascending order of the value
    missing : positives and negatives among the missing cells
    """
    up, down = float(positives.sum()), float(negatives.sum())
    pairs = (up + missing[0]) * (down + missing[1])
    if not pairs:
        return None
    core = float((positives * (np.cumsum(negatives) - negatives / 2)).sum()) + missing[0] * missing[1] / 2
    below, above = (core + up * missing[1]) / pairs, (core + missing[0] * down) / pairs
    return max(below, 1 - below, above, 1 - above)


def cross_fitted(counts: np.ndarray, positive: int) -> tuple[float | None, float | None]:
    """What one half of the rows teaches about the other, value by value, so that unique values teach nothing.

    Parameters
    ----------
    counts : (values, 2, classes) rows by value, half and class
    positive : the class ranked against the rest

    Returns
    -------
    areaUnderROC of the positive rate, and the share of rows whose class is the most frequent one of their value; None where not defined
    """
    areas, right, seen = [], 0.0, 0.0
    for here, there in ((0, 1), (1, 0)):
        learnt, asked = counts[:, here, :].astype(np.float64), counts[:, there, :].astype(np.float64)
        rows = learnt.sum(axis=1)
        if not rows.sum() or not asked.sum():
            return None, None
        prior = learnt.sum(axis=0) / rows.sum()
        rate = (learnt + PRIOR_ROWS * prior) / (rows + PRIOR_ROWS)[:, None]
        areas.append(area(rate[:, positive], asked[:, positive], asked.sum(axis=1) - asked[:, positive]))
        right += float(asked[np.arange(len(asked)), rate.argmax(axis=1)].sum())
        seen += float(asked.sum())
    known = [one for one in areas if one is not None]
    return (sum(known) / len(known) if len(known) == 2 else None), right / seen
