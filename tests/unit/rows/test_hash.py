"""Law 1: the row hash is free of order, format, engine and integer width, and tells different rows apart."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.errors import DataError
from filon.rows.hash import BUCKETS, buckets, digest, key_hash, mix, row_hash, text_hashes

MASK = (1 << 64) - 1


def one(cells: pa.Array, name: str = "c") -> np.ndarray:
    return row_hash(pa.RecordBatch.from_arrays([cells], names=[name]), [name])


def splitmix(value: int) -> int:
    """The finaliser in plain integers, as published."""
    value &= MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def text_by_hand(text: str, golden: int = 0x9E3779B97F4A7C15) -> int:
    data = text.encode()
    words = [int.from_bytes(data[place : place + 8], "little") for place in range(0, len(data), 8)]
    return splitmix(len(data) + sum(splitmix(word + (k + 1) * golden) for k, word in enumerate(words)) + golden * 13)


@given(st.lists(st.integers(0, MASK), max_size=40))
def test_mix_is_splitmix64(values: list[int]) -> None:
    assert mix(np.array(values, np.uint64)).tolist() == [splitmix(value) for value in values]


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(0, 5))
def test_texts_hash_by_their_utf8_bytes(texts: list[str], skip: int) -> None:
    found = text_hashes(pa.array(texts, pa.large_string())[skip:])
    assert found.tolist() == [text_by_hand(text) for text in texts[skip:]]


def test_long_and_short_texts_together_hash_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["", "a" * 100_000, "b", "", "ñ" * 3_333, "c" * 8, "d" * 9]
    whole = text_hashes(pa.array(texts, pa.large_string())).tolist()
    assert whole == [text_by_hand(text) for text in texts]
    monkeypatch.setattr("filon.rows.hash.WORDS_AT_ONCE", 2)
    assert text_hashes(pa.array(texts, pa.large_string())).tolist() == whole


ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(width=32)),
        st.one_of(st.none(), st.text(max_size=20)),
        st.one_of(st.none(), st.integers(-(2**24), 2**24)),
        st.one_of(st.none(), st.booleans()),
    ),
    min_size=1,
    max_size=50,
)


@given(ROWS, st.randoms())
def test_order_of_columns_and_of_rows_does_not_matter(rows: list[tuple[object, ...]], random: object) -> None:
    kinds = [pa.float32(), pa.string(), pa.int64(), pa.bool_()]
    names = ["x", "ciudad", "n", "b"]
    columns = {name: pa.array([row[i] for row in rows], kind) for i, (name, kind) in enumerate(zip(names, kinds, strict=True))}
    batch = pa.RecordBatch.from_pydict(columns)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    hashes = row_hash(batch, names)
    assert (row_hash(batch, names[::-1]) == hashes).all()
    assert (row_hash(batch.take(pa.array(order)), ["b", "x", "n", "ciudad"]) == hashes[order]).all()
    halves = [row_hash(batch.slice(0, len(rows) // 2), names), row_hash(batch.slice(len(rows) // 2), names)]
    assert (np.concatenate(halves) == hashes).all()
    assert digest(hashes[order]) == digest(hashes) == sum(int(h) for h in hashes) & MASK


@given(st.lists(st.one_of(st.none(), st.integers(-(2**7), 2**7 - 1)), min_size=1, max_size=60))
def test_a_number_hashes_the_same_in_every_type(values: list[int | None]) -> None:
    as_int8 = one(pa.array(values, pa.int8())).tolist()
    for kind in (pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()):
        assert one(pa.array(values, kind)).tolist() == as_int8
    decimals = pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(12, 3))
    assert one(decimals).tolist() == as_int8


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=60))
def test_numbers_count_by_their_float32_value(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        narrow = np.array(values).astype(np.float32)
    assert one(pa.array(values)).tolist() == one(pa.array(narrow)).tolist()


def test_decimals_count_by_the_value_they_write() -> None:
    texts = ["0.1", "3.14159", "-2.50", "1234567.89"]
    assert one(pa.array([Decimal(t) for t in texts], pa.decimal128(20, 5))).tolist() == one(pa.array([float(t) for t in texts])).tolist()


def test_minus_zero_is_zero_and_what_is_not_finite_is_missing() -> None:
    cells = one(pa.array([0.0, -0.0, None, float("nan"), float("inf"), 1e300, 5e-324])).tolist()
    assert cells[0] == cells[1] == cells[6]
    assert cells[2] == cells[3] == cells[4] == cells[5] != cells[0]


def test_nan_of_any_bits_is_missing() -> None:
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert len({*one(pa.array(odd)).tolist(), *one(pa.array([None], pa.int32())).tolist()}) == 1


def test_booleans_count_as_0_and_1() -> None:
    assert one(pa.array([True, False, None])).tolist() == one(pa.array([1, 0, None])).tolist()


def test_missing_empty_text_zero_and_epoch_differ() -> None:
    cells = [pa.array([None], pa.string()), pa.array([""]), pa.array([0]), pa.array([0], pa.timestamp("us")), pa.array(["0"])]
    assert len({one(cell)[0] for cell in cells}) == 5


@given(st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)), st.sampled_from(["UTC", "Europe/Madrid", "America/Lima"]))
def test_an_instant_hashes_the_same_in_every_zone_and_unit(moment: dt.datetime, zone: str) -> None:
    moment = moment.replace(microsecond=0)
    naive = one(pa.array([moment], pa.timestamp("us")))
    utc = moment.replace(tzinfo=dt.UTC)
    assert one(pa.array([utc], pa.timestamp("us", tz=zone))) == naive
    assert one(pa.array([utc], pa.timestamp("s", tz=zone))) == naive
    if 1680 < moment.year < 2260:
        local = moment.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
        assert one(pa.array([local], pa.timestamp("ns", tz=zone))) == naive


def test_a_date_is_its_midnight_also_before_1900() -> None:
    days = [dt.date(1, 1, 1), dt.date(1899, 12, 31), dt.date(1970, 1, 1), dt.date(2262, 5, 1)]
    midnights = [dt.datetime(d.year, d.month, d.day) for d in days]
    assert one(pa.array(days)).tolist() == one(pa.array(midnights, pa.timestamp("us"))).tolist()
    assert one(pa.array(days, pa.date64())).tolist() == one(pa.array(days, pa.date32())).tolist()


@given(st.lists(st.one_of(st.none(), st.sampled_from(["", "á", "á", "yes", "a\0", "a"])), min_size=1, max_size=30))
def test_texts_hash_the_same_in_every_arrow_type(values: list[str | None]) -> None:
    plain = one(pa.array(values, pa.string())).tolist()
    for kind in (pa.large_string(), pa.string_view()):
        assert one(pa.array(values, kind)).tolist() == plain
    assert one(pa.array(values, pa.string()).dictionary_encode()).tolist() == plain
    with_null_in_dictionary = pa.DictionaryArray.from_arrays(pa.array(list(range(len(values)))), pa.array(values, pa.string()))
    assert one(with_null_in_dictionary).tolist() == plain


def test_the_column_name_counts() -> None:
    assert one(pa.array([1.0]), "a") != one(pa.array([1.0]), "b")
    batch = pa.RecordBatch.from_pydict({"a": [1, 2], "b": [2, 1]})
    hashes = row_hash(batch, ["a", "b"])
    assert hashes[0] != hashes[1]


def test_rows_on_a_lattice_do_not_collide() -> None:
    """Small whole numbers share their low float bits: the worst case for a sum of terms."""
    side = np.arange(64)
    grid = np.array(np.meshgrid(side, side, side, [0, 1])).reshape(4, -1)
    batch = pa.RecordBatch.from_pydict({name: pa.array(grid[i].astype(np.float64)) for i, name in enumerate("abcd")})
    assert len(np.unique(row_hash(batch, list("abcd")))) == grid.shape[1]


def test_buckets_are_even_and_depend_on_the_seed() -> None:
    hashes = row_hash(pa.RecordBatch.from_pydict({"a": pa.array(np.arange(400_000.0))}), ["a"])
    found = buckets(hashes, 42)
    assert found.dtype == np.uint16
    assert found.max() < BUCKETS
    counts = np.bincount(found >> 8, minlength=256)
    expected = len(hashes) / 256
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert 150 < chi2 < 380  # 255 degrees of freedom: both ends are beyond one in a million
    assert (buckets(hashes, 43) == found).mean() < 0.001


def test_hashes_and_buckets_are_stable_for_ever() -> None:
    """Manifests and bundles of past versions depend on these numbers: never change them."""
    batch = pa.RecordBatch.from_pydict({"Temperature(°C)": [21.5, None], "job": ["admin.", None], "on": [dt.date(2020, 2, 29), None]})
    hashes = row_hash(batch, batch.schema.names)
    assert [f"{h:016x}" for h in hashes.tolist()] == STABLE_HASHES
    assert buckets(hashes, 42).tolist() == STABLE_BUCKETS


STABLE_HASHES = ["77d7f084886f1011", "7b73c4a926b9eaca"]
STABLE_BUCKETS = [65237, 42188]


def keyed(cells: pa.Array) -> list[int]:
    return key_hash(pa.RecordBatch.from_arrays([cells], names=["id"]), ["id"]).tolist()  # type: ignore[no-any-return]


def test_keys_keep_all_64_bits() -> None:
    assert len(set(keyed(pa.array([2**62, 2**62 + 1, 2**24, 2**24 + 1])))) == 4
    assert len(set(one(pa.array([2**62, 2**62 + 1])).tolist())) == 1


def test_a_whole_key_is_the_same_as_integer_float_and_text() -> None:
    assert keyed(pa.array([7, -3, 0, None])) == keyed(pa.array([7.0, -3.0, -0.0, None])) == keyed(pa.array(["7", "-3", "0.0", None]))
    assert keyed(pa.array(["007"])) != keyed(pa.array(["7"]))
    assert keyed(pa.array([0.5])) != keyed(pa.array([0]))
    assert keyed(pa.array([2**64 - 1], pa.uint64())) != keyed(pa.array([2**63 - 1]))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match=r"rows\.column-missing"):
        row_hash(pa.RecordBatch.from_pydict({"a": [1]}), ["b"])


def test_no_rows_hash_to_no_hashes() -> None:
    assert row_hash(pa.RecordBatch.from_pydict({"a": pa.array([], pa.float64()), "t": pa.array([], pa.string())}), ["a", "t"]).shape == (0,)


@pytest.mark.slow
def test_a_million_rows_of_28_floats_hash_in_a_second() -> None:
    import time

    random = np.random.default_rng(0)
    batch = pa.RecordBatch.from_pydict({f"c{i}": pa.array(random.normal(size=1_000_000).astype(np.float32)) for i in range(28)})
    start = time.perf_counter()
    row_hash(batch, batch.schema.names)
    assert time.perf_counter() - start < 1.0  # 0.15 s on two idle cores of 2024
