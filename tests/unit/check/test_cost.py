import pytest
from tests.unit.check.looking import ANSWERS, SPREAD, looked

from filon.check.cost import cost, memory_bytes

CHECKED = looked({"x": SPREAD, "z": [None, *SPREAD[1:]], "c": [1] * 300, "y": [None, *ANSWERS[1:]]})


def test_cost_counts_labelled_rows_and_features() -> None:
    found = cost(CHECKED, train_share=0.7, valid_share=0.15, trial_rows=1_000_000)
    assert (found.rows, found.features, found.trial_rows) == (299, 2, 209)
    assert found.scratch_bytes == 299 * (2 * 4 + 20)
    assert found.refit_bytes > found.trial_bytes > 0


def test_trials_see_no_more_rows_than_the_search_allows() -> None:
    assert cost(CHECKED, train_share=0.7, valid_share=0.15, trial_rows=100).trial_rows == 100


@pytest.mark.parametrize(("machine", "fits"), [(0, True), (1 << 20, False), (64 << 30, True)])
def test_whether_it_fits_is_told_against_the_machine(machine: int, fits: bool) -> None:
    assert cost(CHECKED, train_share=0.7, valid_share=0.15, trial_rows=1000, machine_bytes=machine).fits is fits


def test_memory_of_this_machine_is_known() -> None:
    assert memory_bytes() > 1 << 28
