"""Law 2: the same float32 features from every form of the same rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.errors import DataError
from filon.rows.encode import Encoding, Feature, encode, label_number, label_text


def encoding(*features: Feature) -> Encoding:
    return Encoding(features=features, classes=("no", "yes"))


NUMBER = Feature(name="x", kind="number")
JOB = Feature(name="job", kind="category", categories=("admin.", "unknown", "études"))


def test_features_come_in_the_models_order_whatever_the_batch_order() -> None:
    batch = pa.RecordBatch.from_pydict({"job": ["unknown", "études"], "extra": [9, 9], "b": [True, None], "x": [1, 2]})
    found = encode(batch, encoding(NUMBER, Feature(name="b", kind="boolean"), JOB))
    assert found.dtype == np.float32
    assert found.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(found, np.array([[1, 1, 1], [2, np.nan, 2]], np.float32))


def test_missing_infinite_and_unseen_are_nan_never_zero() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"x": [None, float("inf"), float("-inf"), float("nan"), 1e39], "job": [None, "new", "", "admin.", "ADMIN."]}
    )
    found = encode(batch, encoding(NUMBER, JOB))
    assert np.isnan(found[:, 0]).all()
    assert np.isnan(found[[0, 1, 2, 4], 1]).all()
    assert found[3, 1] == 0


@given(st.lists(st.one_of(st.none(), st.sampled_from([*JOB.categories, "new", ""])), min_size=0, max_size=9000))
def test_categories_encode_the_same_in_every_arrow_type(values: list[str | None]) -> None:
    wanted = [JOB.categories.index(v) if v in JOB.categories else None for v in values]
    plain = pa.array(values, pa.string())
    for cells in (plain, plain.cast(pa.large_string()), plain.cast(pa.string_view()), plain.dictionary_encode()):
        found = encode(pa.RecordBatch.from_arrays([cells], names=["job"]), encoding(JOB))[:, 0]
        np.testing.assert_array_equal(found, np.array(wanted, np.float32) if wanted else np.zeros(0, np.float32))


def test_a_category_of_numbers_is_read_by_its_text() -> None:
    day = Feature(name="day", kind="category", categories=("31", "1"))
    for cells in (pa.array([1, 31, 2]), pa.array([1.0, 31.0, 2.0]), pa.array(["1", "31", "2"])):
        found = encode(pa.RecordBatch.from_arrays([cells], names=["day"]), encoding(day))[:, 0]
        np.testing.assert_array_equal(found, np.array([1, 0, np.nan], np.float32))


def test_a_column_without_values_is_missing() -> None:
    found = encode(pa.RecordBatch.from_arrays([pa.nulls(2), pa.nulls(2)], names=["x", "job"]), encoding(NUMBER, JOB))
    assert np.isnan(found).all()


def test_rows_beyond_one_block_keep_their_place() -> None:
    values = np.arange(10_000, dtype=np.float64)
    batch = pa.RecordBatch.from_pydict({"x": pa.array(values), "y": pa.array(-values)})
    found = encode(batch, encoding(NUMBER, Feature(name="y", kind="number")))
    np.testing.assert_array_equal(found, np.stack([values, -values], axis=1).astype(np.float32))


def test_a_lacking_column_is_named() -> None:
    with pytest.raises(DataError, match='lack the column "x"'):
        encode(pa.RecordBatch.from_pydict({"y": [1]}), encoding(NUMBER))


def test_labels_have_one_text_whatever_their_type() -> None:
    assert label_text(pa.array([True, False, None])).to_pylist() == ["true", "false", None]
    assert label_text(pa.array([1, 0, None], pa.int8())).to_pylist() == ["1", "0", None]
    assert label_text(pa.array([1.0, -0.0, 2.5, None, float("nan")])).to_pylist() == ["1", "0", "2.5", None, None]
    assert label_text(pa.array([1.0, 2.5], pa.float32())).to_pylist() == ["1", "2.5"]
    assert label_text(pa.array(["1.0", "yes", "", None])).to_pylist() == ["1.0", "yes", "", None]
    assert label_text(pa.array(["a", None]).dictionary_encode()).to_pylist() == ["a", None]
    assert label_text(pa.array([float("inf"), 1e300])).to_pylist() == ["inf", "1e+300"]
    assert label_text(pa.nulls(1)).to_pylist() == [None]
    for cells in (pa.array([1]), pa.array(["a"]), pa.array([1.5]), pa.nulls(1)):
        assert label_text(cells).type == pa.string()


def test_labels_are_numbered_by_the_recipes_order() -> None:
    assert label_number(pa.array(["yes", "no", None, "maybe"]), ("no", "yes")).tolist() == [1, 0, -1, -1]
    assert label_number(pa.array([1.0, 0.0, 2.0]), ("0", "1")).tolist() == [1, 0, -1]
    assert label_number(pa.array([True, None]), ("false", "true")).tolist() == [1, -1]
    assert label_number(pa.array(["a"]), ("a",)).dtype == np.int32
