"""How far two sets of counts are apart, and whether chance explains it."""

from collections.abc import Sequence

import numpy as np

GROUPS = 10
"""Groups of the population stability index: the usual ten."""

LEAST_EXPECTED = 5.0
"""Cells with fewer expected rows are put together before a chi-square: Cochran's rule."""


def psi(expected: np.ndarray, live: np.ndarray) -> float:
    """Population stability index, sum of (q - p) ln(q / p); half a row is added to each cell, so that an empty one stays finite.

    Parameters
    ----------
    expected, live : (cells,) counts over the same cells

    Examples
    --------
    >>> round(psi(np.array([50, 50]), np.array([50, 50])), 6), psi(np.array([90, 10]), np.array([10, 90])) > 3
    (0.0, True)
    """
    p, q = (expected + 0.5) / (expected + 0.5).sum(), (live + 0.5) / (live + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())


def grouped(expected: np.ndarray, live: np.ndarray, groups: int = GROUPS) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring cells of a number put together to groups of about equal expected counts; a last cell (missing) stays alone."""
    inner = expected[:-1]
    total = inner.sum()
    if len(inner) <= groups or not total:
        return expected, live
    group = np.minimum((np.cumsum(inner) - inner / 2) * groups // total, groups - 1).astype(np.int64)
    pairs = [np.append(np.bincount(group, weights=part[:-1], minlength=groups), part[-1]) for part in (expected, live)]
    return pairs[0], pairs[1]


def jensen_shannon(expected: np.ndarray, live: np.ndarray) -> float:
    """Jensen-Shannon distance in base 2: 0 for equal shares, 1 for shares that never meet.

    >>> jensen_shannon(np.array([1, 0]), np.array([0, 1]))
    1.0
    """
    p, q = _shares(expected), _shares(live)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(part > 0, part * np.log2(part / middle), 0.0).sum() for part in (p, q)]
    return float(np.sqrt(max(0.0, (parts[0] + parts[1]) / 2)))


def kolmogorov_smirnov(expected: np.ndarray, live: np.ndarray) -> tuple[float, float]:
    """Largest distance of the two cumulative shares over ordered cells, and its p-value (asymptotic; ties and cells make it too large)."""
    n, m = float(expected.sum()), float(live.sum())
    if not n or not m:
        return 0.0, 1.0
    distance = float(np.abs(np.cumsum(_shares(expected)) - np.cumsum(_shares(live)))[:-1].max(initial=0.0))
    from scipy.special import kolmogorov

    return distance, float(kolmogorov(distance * np.sqrt(n * m / (n + m))))


def total_variation(expected: np.ndarray, live: np.ndarray) -> float:
    """Half the sum of differences: the share of rows that would have to be others."""
    return float(np.abs(_shares(expected) - _shares(live)).sum() / 2)


def chi_square(expected: np.ndarray, live: np.ndarray) -> float:
    """p-value of the test that both counts come from the same shares; rare cells are put together first."""
    n, m = float(expected.sum()), float(live.sum())
    if not n or not m:
        return 1.0
    both = expected + live
    rare = both * min(n, m) / (n + m) < LEAST_EXPECTED
    table = np.stack([np.append(part[~rare], part[rare].sum()) for part in (expected, live)]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    means = table.sum(axis=0) * np.array([[n], [m]]) / (n + m)
    from scipy.special import chdtrc

    return float(chdtrc(table.shape[1] - 1, ((table - means) ** 2 / means).sum()))


def share_differs(before: float, rows_before: float, now: float, rows_now: float) -> float:
    """p-value of the test that two shares are equal, of so many rows each: exact for few, by the chi-square for many."""
    return chi_square(np.array([before * rows_before, (1 - before) * rows_before]), np.array([now * rows_now, (1 - now) * rows_now]))


def corrected(p_values: Sequence[float], method: str = "holm") -> list[float]:
    """p-values corrected for their number, in the order given.

    Parameters
    ----------
    method : "holm" bounds the chance of one false alarm, "bh" (Benjamini and Hochberg) the share of false ones among the alarms

    Examples
    --------
    >>> [round(p, 3) for p in corrected([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    >>> [round(p, 3) for p in corrected([0.01, 0.04, 0.03], "bh")]
    [0.03, 0.04, 0.04]
    """
    values = np.asarray(p_values, np.float64)
    count = len(values)
    if not count:
        return []
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    if method == "holm":
        steps = np.maximum.accumulate(ranked * np.arange(count, 0, -1))
    else:
        steps = np.minimum.accumulate((ranked * count / np.arange(1, count + 1))[::-1])[::-1]
    found = np.empty(count)
    found[order] = np.minimum(1.0, steps)
    return [float(p) for p in found]


def _shares(counts: np.ndarray) -> np.ndarray:
    total = counts.sum()
    return np.asarray(counts / total if total else np.zeros(len(counts)), np.float64)
