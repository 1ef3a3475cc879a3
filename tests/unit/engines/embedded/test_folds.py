"""Handles on folds: unions, caps, parts, samples, and the one door to the test fold."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engines.embedded.tables import arrow_table, contents, folds_of, numbers

from filon.engines.embedded import folds as room
from filon.engines.embedded.folds import EmbeddedFolds
from filon.engines.embedded.sampling import sample_fold


@pytest.fixture
def folds(tmp_path: Path) -> EmbeddedFolds:
    return folds_of(arrow_table(numbers(5000)), tmp_path)


def hashes(fold: room.EmbeddedFold) -> list[int]:
    return [int(value) for rows in fold.each() for value in rows.hash]


def test_folds_and_unions_are_in_canonical_order(folds: EmbeddedFolds) -> None:
    train, valid, both = (hashes(folds.fold(*names)) for names in (("train",), ("valid",), ("valid", "train")))
    assert train == sorted(train)
    assert both == sorted(train + valid)
    assert folds.fold("valid", "train").rows == len(both)
    assert folds.fold("train", "valid").names == ("train", "valid")


@pytest.mark.parametrize("names", [("train",), ("train", "valid")])
def test_blocks_of_any_size_are_the_same_rows(folds: EmbeddedFolds, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    whole = contents(folds.fold(*names))  # type: ignore[arg-type]
    monkeypatch.setattr(room, "block_rows", lambda _: 70)
    for again in (contents(folds.fold(*names)), contents(folds.fold(*names))):  # type: ignore[arg-type]
        for left, right in zip(whole, again, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_cap_takes_the_lowest_hashes(folds: EmbeddedFolds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "block_rows", lambda _: 70)
    for names in (("train",), ("train", "valid")):
        fold = folds.fold(*names)  # type: ignore[arg-type]
        assert hashes(fold.capped(333)) == hashes(fold)[:333]
        assert fold.capped(333).rows == 333
        assert fold.capped(10**9).rows == fold.rows


def test_parts_share_the_rows_out_evenly_by_class(folds: EmbeddedFolds, monkeypatch: pytest.MonkeyPatch) -> None:
    train, everything = folds.fold("train").capped(3000), []
    for number in range(5):
        outside, inside = train.parted(number, 5, folds.plan)
        assert outside.rows + inside.rows == 3000 == len(hashes(outside)) + len(hashes(inside))
        assert sorted(hashes(outside) + hashes(inside)) == hashes(train)
        positives = contents(inside)[1].sum(), contents(train)[1].sum()
        assert abs(positives[0] - positives[1] / 5) <= 4
        everything += hashes(inside)
        monkeypatch.setattr(room, "block_rows", lambda _: 70)
    assert sorted(everything) == hashes(train)


def test_equal_rows_share_a_part_also_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    table = pa.table({"f": random.integers(0, 40, 2000).astype(float), "y": (random.random(2000) < 0.4).astype(int)})
    folds = folds_of(arrow_table(table), tmp_path, shares=(0.8, 0.1, 0.1))
    monkeypatch.setattr(room, "block_rows", lambda _: 17)
    seen = [set(hashes(folds.fold("train").parted(number, 4, folds.plan)[1])) for number in range(4)]
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_rows_of_one_key_share_a_part(tmp_path: Path) -> None:
    table = numbers(3000).append_column("k", pa.array(np.arange(3000) % 300))
    folds = folds_of(arrow_table(table, k="key"), tmp_path, by="key", key=("k",))
    keys = [
        {int(value) for rows in folds.fold("train").parted(number, 3, folds.plan)[1].each() for value in rows.member} for number in range(3)
    ]
    assert sum(map(len, keys)) == len(set().union(*keys))
    assert min(map(len, keys)) > 40


def test_the_test_fold_has_one_door_and_each_opening_is_recorded(folds: EmbeddedFolds) -> None:
    for names in (("test",), ("train", "test"), ()):
        with pytest.raises(ValueError, match="open_test"):
            folds.fold(*names)  # type: ignore[arg-type]
    assert folds.openings == ()
    assert folds.open_test("evaluate").rows == folds.info["test"].rows
    folds.open_test("evaluate again")
    assert folds.openings == ("evaluate", "evaluate again")


def test_a_sample_has_the_lowest_hashes_and_enough_of_each_class(folds: EmbeddedFolds) -> None:
    x, label, _ = contents(folds.fold("train"))
    sample = sample_fold(folds.fold("train"), 100)
    np.testing.assert_array_equal(np.column_stack([sample.column(name) for name in ("f0", "f1", "f2")]), x[:100])
    assert sample.column("label").to_pylist() == label[:100].tolist()
    few = sample_fold(folds.fold("train"), 0, per_class=5)
    assert np.bincount(few.column("label")).tolist() == [5, 5]
    assert sample_fold(folds.fold("train"), 0).num_rows == 0
    assert few.schema.names == ["f0", "f1", "f2", "label", "weight"]
