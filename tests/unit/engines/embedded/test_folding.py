"""A table to folds: law 1 on the embedded engine, against plain numpy."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engines.embedded.tables import ArrowTable, arrow_table, contents, folds_of, numbers

from filon.engines.base import LabelPlan
from filon.engines.embedded import spool
from filon.errors import DataError
from filon.rows.encode import encode
from filon.rows.hash import digest, key_hash, row_hash

FOLDS = ("train", "valid", "test")


def members(folds: object) -> dict[str, np.ndarray]:
    """Rows of each fold as sorted bytes of features and label."""
    out = {}
    for name in FOLDS:
        fold = folds.open_test("test of the fold") if name == "test" else folds.fold(name)  # type: ignore[attr-defined]
        x, label, _ = contents(fold)
        out[name] = np.column_stack([x, label]).astype(np.float32)
    return out


def same(left: object, right: object) -> bool:
    """Whether folds hold the same rows in the same order."""
    first, second = members(left), members(right)
    return all(first[name].tobytes() == second[name].tobytes() for name in FOLDS)


def test_rows_in_equal_rows_out(tmp_path: Path) -> None:
    table = arrow_table(numbers(3000))
    folds = folds_of(table, tmp_path)
    got = np.concatenate(list(members(folds).values()))
    wanted = np.column_stack([np.asarray(column) for column in table.table.columns]).astype(np.float32)
    assert sorted(map(bytes, got)) == sorted(map(bytes, wanted))
    assert sum(info.rows for info in folds.info.values()) == 3000


@pytest.mark.parametrize("held", [1, 1 << 30])
def test_order_batches_and_threads_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    table = numbers(4000)
    plain = folds_of(arrow_table(table), tmp_path, threads=1)
    monkeypatch.setattr(spool, "HELD_BYTES", held)
    shuffled = folds_of(arrow_table(table.take(np.random.default_rng(5).permutation(4000)), rows=173), tmp_path, threads=3)
    assert same(plain, shuffled)
    assert plain.info == shuffled.info


def test_shares_are_those_of_the_recipe_by_class(tmp_path: Path) -> None:
    folds = folds_of(arrow_table(numbers(20_000)), tmp_path)
    by_class = np.array([folds.info[name].by_class for name in FOLDS])
    assert np.abs(by_class - np.outer((0.7, 0.15, 0.15), by_class.sum(axis=0))).max() <= 3  # rows of the fullest bucket


def test_the_seed_changes_the_folds(tmp_path: Path) -> None:
    table = arrow_table(numbers(500))
    assert not same(folds_of(table, tmp_path), folds_of(table, tmp_path, seed=43))


@given(st.integers(1, 4), st.integers(0, 10_000), st.booleans())
def test_equal_rows_never_straddle_folds_whatever_their_label(levels: int, seed: int, stratify: bool) -> None:
    import tempfile

    random = np.random.default_rng(seed)
    x = random.integers(0, levels * 3, (400, 2)).astype(np.float32)
    y = (random.random(400) < 0.1 + 0.8 * (x[:, 0] > levels)).astype(np.int64)
    table = arrow_table(pa.table({"a": x[:, 0], "b": x[:, 1], "y": y}))
    with tempfile.TemporaryDirectory() as folder:
        try:
            got = members(folds_of(table, Path(folder), stratify=stratify))
        except DataError:
            return  # few contents cannot be shared out finely: refused, not torn apart
    seen = [{row[:2].tobytes() for row in rows} for rows in got.values()]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_rows_of_one_key_stay_together(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    table = numbers(3000).append_column("k", pa.array(random.integers(0, 300, 3000)))
    folds = folds_of(arrow_table(table, k="key"), tmp_path, by="key", key=("k",))
    key_of = dict(zip(row_hash(table.to_batches()[0], ["f0", "f1", "f2"]).tolist(), table.column("k").to_pylist(), strict=True))
    keys = [{key_of[int(value)] for rows in folds.fold(name).each() for value in rows.hash} for name in ("train", "valid")]
    keys.append({key_of[int(value)] for rows in folds.open_test("keys").each() for value in rows.hash})
    assert sum(map(len, keys)) == len(set().union(*keys)) == 300
    assert abs(folds.info["train"].rows - 2100) < 100  # shares hold to a key


def test_the_oldest_rows_train_and_equal_times_stay_together(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    days = random.integers(0, 365, 5000).astype("datetime64[D]")
    table = numbers(5000).append_column("day", pa.array(days)).append_column("d", pa.array(days.astype(np.float32)))
    folds = folds_of(arrow_table(table, day="time"), tmp_path, by="time", time="day")
    got = [rows[:, 3] for rows in members(folds).values()]
    assert got[0].max() < got[1].min()
    assert got[1].max() < got[2].min()
    assert abs(len(got[0]) - 3500) <= np.bincount(days.astype(int)).max()


def test_rows_without_a_usable_label_are_left_out_and_counted(tmp_path: Path) -> None:
    table = numbers(1000)
    labels = pa.array([None] * 30 + ["odd"] * 20 + [str(value) for value in table.column("y").to_pylist()[50:]])
    table = table.set_column(3, "y", labels)
    folds = folds_of(arrow_table(table), tmp_path, label=LabelPlan(column="y", classes=("0", "1")))
    assert folds.left_out == {"label-missing": 30, "label-unknown": 20}
    assert sum(info.rows for info in folds.info.values()) == 950


def test_categories_are_ranked_by_the_training_fold_and_agree_with_the_encoder(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    words = np.array(["río", "b", "a", "montaña", "once"])
    texts = words[random.choice(5, 4000, p=[0.4, 0.2, 0.2, 0.1999, 0.0001])]
    table = numbers(4000).append_column("c", pa.array(np.where(random.random(4000) < 0.05, None, texts), pa.string()))
    folds = folds_of(arrow_table(table, rows=300), tmp_path)
    (feature,) = (feature for feature in folds.encoding.features if feature.kind == "category")
    batch = table.combine_chunks().to_batches()[0]
    codes = dict(zip(row_hash(batch, folds.encoding.names).tolist(), encode(batch, folds.encoding)[:, 3], strict=True))
    counts = np.zeros(len(feature.categories))
    for names in (("train",), ("valid",), ("train", "valid")):
        for rows in folds.fold(*names).each():
            np.testing.assert_array_equal(rows.x[:, 3], [codes[int(value)] for value in rows.hash])
            if names == ("train",):
                counts += np.bincount(rows.x[~np.isnan(rows.x[:, 3]), 3].astype(int), minlength=len(counts))
    assert counts.min() > 0
    assert list(counts) == sorted(counts, reverse=True)


def test_ties_of_categories_are_ordered_by_text_and_the_rarest_beyond_the_cap_are_missing(tmp_path: Path) -> None:
    texts = np.repeat(["b", "a", "d", "c"], [400, 400, 200, 40])
    table = numbers(1040).append_column("c", pa.array(texts))
    folds = folds_of(arrow_table(table), tmp_path, max_categories=3, shares=(0.999, 0.0005, 0.0005))
    assert set(folds.encoding.features[3].categories) == {"a", "b", "d"}
    x, _, _ = contents(folds.fold("train"))
    assert np.isnan(x[:, 3]).sum() > 30


def test_class_weights_are_of_the_training_fold_and_can_be_turned_off(tmp_path: Path) -> None:
    table = arrow_table(numbers(2000))
    folds = folds_of(table, tmp_path)
    negatives, positives = folds.info["train"].by_class
    assert folds.class_weights == pytest.approx(((negatives + positives) / (2 * negatives), (negatives + positives) / (2 * positives)))
    assert folds_of(table, tmp_path, balance=False).class_weights == (1.0, 1.0)


def test_row_weights_follow_their_rows(tmp_path: Path) -> None:
    table = numbers(2000, missing=0.0)
    table = table.append_column("w", pa.array(np.abs(np.asarray(table.column("f1")))))
    folds = folds_of(arrow_table(table, w="weight"), tmp_path, weight="w")
    for fold in (folds.fold("train"), folds.fold("train", "valid"), folds.open_test("weights")):
        x, _, weight = contents(fold)
        np.testing.assert_array_equal(np.abs(x[:, 1]), weight)


@pytest.mark.parametrize("bad", [None, -1.0, float("inf")])
def test_a_weight_that_is_none_is_refused(tmp_path: Path, bad: float | None) -> None:
    table = numbers(100).append_column("w", pa.array([1.0] * 99 + [bad]))
    with pytest.raises(DataError) as caught:
        folds_of(arrow_table(table, w="weight"), tmp_path, weight="w")
    assert caught.value.code == "split.weight-unusable"


def test_digests_are_sums_of_row_hashes_free_of_order_and_of_the_seed(tmp_path: Path) -> None:
    table = numbers(1500)
    total = digest(row_hash(table.to_batches()[0], ["f0", "f1", "f2"]))
    for seed in (1, 2):
        folds = folds_of(arrow_table(table), tmp_path, seed=seed)
        assert sum(int(info.digest, 16) for info in folds.info.values()) % 2**64 == total
        assert all(len(info.digest) == 16 for info in folds.info.values())


def test_a_test_table_of_its_own_is_the_test_fold(tmp_path: Path) -> None:
    train, test = numbers(1000), numbers(200, seed=1)
    for place, table in enumerate((train, test)):
        words = pa.array(np.array(["x", "y", "new"])[np.arange(len(table)) % (2 + place)])
        train, test = (table.append_column("c", words), test) if place == 0 else (train, table.append_column("c", words))
    folds = folds_of(arrow_table(train), tmp_path, test=arrow_table(test), shares=(0.8, 0.2, 0.0))
    assert (folds.info["train"].rows + folds.info["valid"].rows, folds.info["test"].rows) == (1000, 200)
    x, _, _ = contents(folds.open_test("own"))
    batch = test.combine_chunks().to_batches()[0]
    order = np.argsort(row_hash(batch, folds.encoding.names))
    np.testing.assert_array_equal(x, encode(batch, folds.encoding)[order])


@pytest.mark.parametrize(
    ("table", "changes", "code"),
    [
        (
            pa.table({"f": [1.0, 2.0], "y": pa.array([None, None], pa.int64())}),
            {"label": LabelPlan(column="y", classes=("0", "1"))},
            "no-rows",
        ),
        (pa.table({"f": np.arange(100.0), "y": [0] * 99 + [1]}), {}, "class-missing"),
        (pa.table({"f": [1.0, 2.0], "y": [0, 0]}), {"label": LabelPlan(column="y", classes=("0",))}, "fold-empty"),
        (pa.table({"f": np.arange(100.0), "k": [1] * 100, "y": [0, 1] * 50}), {"by": "key", "key": ("k",)}, "fold-empty"),
        (pa.table({"f": np.arange(100.0), "t": [1] * 100, "y": [0, 1] * 50}), {"by": "time", "time": "t"}, "fold-empty"),
        (pa.table({"f": np.arange(100.0), "t": np.arange(100), "y": [0] * 80 + [1] * 20}), {"by": "time", "time": "t"}, "class-missing"),
    ],
)
def test_folds_that_cannot_work_are_refused_with_a_fix(tmp_path: Path, table: pa.Table, changes: dict[str, object], code: str) -> None:
    with pytest.raises(DataError) as caught:
        folds_of(arrow_table(table, k="key", t="time"), tmp_path, **changes)  # type: ignore[arg-type]
    assert caught.value.code == f"split.{code}"
    assert caught.value.fix


def test_keys_of_csv_and_parquet_types_are_one(tmp_path: Path) -> None:
    table = numbers(600)
    integers = table.append_column("k", pa.array(np.arange(600) // 3))
    doubles = table.append_column("k", pa.array((np.arange(600) // 3).astype(float)))
    assert key_hash(integers.to_batches()[0], ["k"]).tolist() == key_hash(doubles.to_batches()[0], ["k"]).tolist()
    left, right = (folds_of(arrow_table(table, k="key"), tmp_path, by="key", key=("k",)) for table in (integers, doubles))
    assert same(left, right)


def test_a_stream_that_breaks_leaves_the_error_as_it_is(tmp_path: Path) -> None:
    table = arrow_table(numbers(100))

    class Broken(ArrowTable):
        def batches(self, columns, rows_per_batch):  # type: ignore[no-untyped-def]
            yield from super().batches(columns, rows_per_batch)
            raise DataError("rows.column-missing", "it broke", "in the middle", "mend it")

    with pytest.raises(DataError, match="it broke"):
        folds_of(Broken(table.table, table.source), tmp_path)
