import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.check.looking import ANSWERS, SPREAD, looked
from tests.unit.engines.trainer.memory_rows import encoding_of

from filon.check.cost import cost
from filon.engines.memory import matrix_mib
from filon.engines.trainer import matrix

CHECKED = looked({"x": SPREAD, "z": [None, *SPREAD[1:]], "c": [1] * 300, "y": [None, *ANSWERS[1:]]})


def test_cost_counts_labelled_rows_and_features() -> None:
    found = cost(CHECKED, train_share=0.7, valid_share=0.15, trial_rows=1_000_000)
    assert (found.rows, found.features, found.trial_rows) == (299, 2, 209)
    assert found.scratch_bytes == 299 * (2 * 4 + 20)
    assert found.refit_bytes > found.trial_bytes > 0


def test_trials_see_no_more_rows_than_the_search_allows() -> None:
    assert cost(CHECKED, train_share=0.7, valid_share=0.15, trial_rows=100).trial_rows == 100


@pytest.mark.parametrize("within_mib", [0, 1024, 4096, 65536])
def test_whether_it_fits_is_told_as_the_trainer_will_decide(within_mib: int) -> None:
    small = cost(CHECKED, train_share=0.7, valid_share=0.15, trial_rows=1000, within_mib=within_mib)
    assert small.fits
    large = dataclasses.replace(small, refit_rows=6_000_000, features=100)  # 3.2 GiB of matrix
    rows: Any = SimpleNamespace(rows=6_000_000, encoding=encoding_of((0,) * 100))
    on_disk = matrix._too_big(rows, matrix.Machine(threads=1, memory_mib=matrix_mib(within_mib)))
    assert on_disk is (within_mib == 1024)
    assert large.fits is not on_disk
