"""Matrices: streamed or held, from a sample's cuts or from all rows, in memory or on disk, the model is as good."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, fit_one, some_rows, trial

from filon.engines.trainer import matrix
from filon.engines.trainer.matrix import Machine, Matrices, Stopped, quantised
from filon.trees import predict

ONE = trial(1, "xgboost", num_round=10, max_depth=4)


def never() -> bool:
    return False


def test_blocks_give_the_matrix_that_one_array_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_rows(3000, block=257, class_weights=(0.7, 1.6))
    held = fit_one(rows, ONE).ensemble
    monkeypatch.setattr(matrix, "GATHER_CELLS", 0)
    assert fit_one(rows, ONE).ensemble == held


def test_cuts_of_a_sample_train_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.metrics import roc_auc_score

    train, valid = some_rows(60_000, block=5000), some_rows(20_000, seed=1)
    whole = fit_one(train, ONE).ensemble
    monkeypatch.setattr(matrix, "CUT_ROWS", 20_000)
    some = fit_one(train, ONE).ensemble
    assert whole is not None
    assert some is not None
    assert some != whole
    areas = [roc_auc_score(valid.label, predict(model, valid.x)[:, 1]) for model in (whole, some)]
    assert abs(areas[0] - areas[1]) < 0.001


def test_a_category_that_the_sample_lacks_is_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    train = some_rows(50_000, block=5000)
    late = train.x.copy()
    late[:, 3] = np.where(late[:, 3] == 5, 0, late[:, 3])
    late[-300:, 3] = 5  # the last level is only in the last rows
    label = train.label.copy()
    label[-300:] = 1
    monkeypatch.setattr(matrix, "CUT_ROWS", 20_000)
    model = fit_one(MemoryRows(**{**vars(train), "x": late, "label": label}), ONE).ensemble
    assert model is not None
    row = np.zeros((2, 5), dtype=np.float32)
    row[1, 3] = 5
    assert predict(model, row)[1, 1] > predict(model, row)[0, 1] + 0.1


def test_a_table_past_the_memory_is_trained_from_disk_and_leaves_nothing_there(tmp_path: Path) -> None:
    rows = some_rows(40_000, block=4000)
    inside = fit_one(rows, ONE).ensemble
    outside = fit_one(rows, ONE, memory_mib=1, scratch=str(tmp_path)).ensemble
    assert inside is not None
    assert outside is not None
    assert np.abs(predict(inside, rows.x) - predict(outside, rows.x)).max() < 1e-5
    assert list(tmp_path.iterdir()) == []


def test_stop_is_heard_while_the_matrix_is_built() -> None:
    with pytest.raises(Stopped):
        quantised(some_rows(), (64, False, 1.0), Machine(threads=1), stop=lambda: True)


def test_a_matrix_is_built_once_and_dropped_after_its_last_use() -> None:
    key = (64, True, 1.0)
    matrices = Matrices(some_rows(), some_rows(100, seed=1), Machine(threads=1), [key, key], never)
    first = matrices.get(key)
    assert matrices.get(key) is first
    matrices.done(key)
    assert matrices.get(key) is first
    matrices.done(key)
    assert matrices.get(key) is not first


@pytest.mark.parametrize(("power", "expected"), [(1.0, (0.7, 1.6)), (0.0, (1.0, 1.0)), (0.5, (0.7**0.5, 1.6**0.5))])
def test_class_weights_multiply_row_weights_in_training_only(power: float, expected: tuple[float, float]) -> None:
    rows = some_rows(500, class_weights=(0.7, 1.6), weight=np.full(500, 3.0), block=100)
    train = quantised(rows, (64, False, power), Machine(threads=1), stop=never)
    assert np.allclose(train.get_weight(), 3 * np.array(expected)[rows.label])
    valid = quantised(rows, (64, False, power), Machine(threads=1), like=train, stop=never)
    assert np.allclose(valid.get_weight(), 3)
