"""Distances and p-values against scipy and against shares worked out by hand."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from filon.watch import distances as apart

RNG = np.random.default_rng(3)


def test_kolmogorov_smirnov_agrees_with_scipy_where_every_value_is_a_cell() -> None:
    one, other = RNG.normal(0, 1, 800), RNG.normal(0.15, 1, 500)
    edges = np.sort(np.concatenate([one, other]))
    counts = [np.bincount(np.searchsorted(edges, part), minlength=len(edges)) for part in (one, other)]
    distance, p = apart.kolmogorov_smirnov(*counts)
    exact = stats.ks_2samp(one, other, method="asymp")
    assert distance == pytest.approx(exact.statistic, abs=1e-12)
    assert p == pytest.approx(exact.pvalue, rel=0.1)


def test_chi_square_agrees_with_scipy() -> None:
    one, other = np.array([500, 300, 200]), np.array([80, 90, 30])
    assert apart.chi_square(one, other) == pytest.approx(stats.chi2_contingency([one, other], correction=False).pvalue, rel=1e-9)


def test_rare_cells_are_put_together_before_a_chi_square() -> None:
    rare = np.concatenate([[5000, 5000], np.ones(200)])
    live = np.concatenate([[500, 500], np.zeros(190), np.ones(10)])
    assert apart.chi_square(rare, live) > 0.01


def test_jensen_shannon_agrees_with_scipy() -> None:
    one, other = np.array([5.0, 1, 0, 4]), np.array([1.0, 1, 1, 7])
    assert apart.jensen_shannon(one, other) == pytest.approx(jensenshannon(one, other, base=2), abs=1e-12)


def test_psi_is_the_sum_it_is_defined_as() -> None:
    one, other = np.array([4000.0, 6000.0]), np.array([5000.0, 5000.0])
    assert apart.psi(one, other) == pytest.approx(0.1 * np.log(5 / 4) + -0.1 * np.log(5 / 6), abs=1e-4)


def test_ten_groups_have_about_a_tenth_of_training_each() -> None:
    fine = RNG.integers(50, 150, 100).astype(float)
    groups, live = apart.grouped(np.append(fine, 7.0), np.append(fine * 2, 3.0))
    assert len(groups) == 11
    assert (abs(groups[:-1] / fine.sum() - 0.1) < 0.02).all()
    assert (groups[-1], live[-1]) == (7.0, 3.0)
    assert live.sum() == pytest.approx(2 * fine.sum() + 3)


@pytest.mark.parametrize("method", ["holm", "bh"])
def test_corrections_agree_with_the_definition(method: str) -> None:
    p = RNG.uniform(0, 0.2, 30)
    found = np.array(apart.corrected(p, method))
    if method == "bh":
        assert found == pytest.approx(stats.false_discovery_control(p))
    else:
        order = np.argsort(p)
        worked = np.maximum.accumulate(np.sort(p) * np.arange(30, 0, -1))
        assert found[order] == pytest.approx(np.minimum(worked, 1))


def test_equal_distributions_are_told_apart_as_often_as_chance_says() -> None:
    expected = np.full(100, 1000)
    p = [apart.kolmogorov_smirnov(expected, RNG.multinomial(500, np.full(100, 0.01)))[1] for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) < 0.08
