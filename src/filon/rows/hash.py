"""The row hash: one vectorised function over Arrow batches that every engine calls (law 1)."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.rows.cells import as_float32, column, is_text, numbers64

BUCKETS = 1 << 16
"""Hash buckets of a split: shares are exact to one of them, so to 0.002 % of the rows of a large table."""

BLOCK = 1 << 14
"""Rows mixed at a time: three buffers of 128 KiB stay in the second-level cache."""

WORDS_AT_ONCE = 1 << 20
"""Words of text mixed at a time, so that texts of any length need 40 MiB at most (one cell longer than that excepted)."""

# The increment and the two multipliers of splitmix64: Steele, Lea, Flood (2014), doi:10.1145/2714064.2660195
GOLDEN = 0x9E3779B97F4A7C15
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
MASK = (1 << 64) - 1

# One constant each, so that a missing cell, the text "", the number 0 and the date 1970-01-01 differ
MISSING, NUMBER, INTEGER, DATE, TEXT = (GOLDEN * k & MASK for k in (3, 5, 7, 11, 13))

Canon = Callable[[pa.Array], "tuple[np.ndarray, np.ndarray | None]"]


def row_hash(batch: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """Hash of a row's content, free of column order, file format, engine and integer width.

    Numbers count by their float32 value (law 2: what the model sees): -0.0 is 0.0, NaN and infinities are missing, 1 is 1.0;
    booleans as 0/1; texts by their UTF-8 bytes; dates and timestamps by microseconds since 1970 UTC (naive ones are taken as UTC);
    each cell together with its column's name.

    Returns
    -------
    (rows,) uint64

    >>> left = pa.RecordBatch.from_pydict({"a": pa.array([1, None], pa.int8()), "b": ["x", "y"]})
    >>> right = pa.RecordBatch.from_pydict({"b": ["x", "y"], "a": pa.array([1.0, float("nan")])})
    >>> bool((row_hash(left, ["a", "b"]) == row_hash(right, ["b", "a"])).all())
    True
    """
    return _hash(batch, columns, _model_bits)


def key_hash(batch: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """As `row_hash`, but numbers are exact: integers by their 64 bits, others by their float64 value.

    A whole number is the same key as an integer, a float or a text (7, 7.0, "7", not "007"), because a CSV cannot tell them apart.

    Returns
    -------
    (rows,) uint64
    """
    return _hash(batch, columns, _key_bits)


def buckets(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Seeded bucket of each hash: (rows,) uint16 below `BUCKETS`; stable for ever (bundles and manifests depend on it)."""
    salt = _mix_one((seed & MASK) + GOLDEN)
    return (mix(hashes ^ np.uint64(salt)) >> np.uint64(48)).astype(np.uint16)


def digest(hashes: np.ndarray) -> int:
    """Sum of the hashes mod 2^64: free of order, so it can be compared across engines, formats and machines."""
    return int(np.add.reduce(hashes, dtype=np.uint64))


def mix(values: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser of each value: a bijection of 64 bits. (n,) uint64 to (n,) uint64."""
    out = values.astype(np.uint64, copy=True)
    spare = np.empty(min(BLOCK, len(out)), np.uint64)
    for start in range(0, len(out), BLOCK):
        block = out[start : start + BLOCK]
        _mix_in_place(block, spare[: len(block)])
    return out


def _mix_in_place(block: np.ndarray, spare: np.ndarray) -> None:
    np.right_shift(block, 30, out=spare)
    np.bitwise_xor(block, spare, out=block)
    np.multiply(block, FIRST, out=block)
    np.right_shift(block, 27, out=spare)
    np.bitwise_xor(block, spare, out=block)
    np.multiply(block, SECOND, out=block)
    np.right_shift(block, 31, out=spare)
    np.bitwise_xor(block, spare, out=block)


def _mix_one(value: int) -> int:
    return int(mix(np.array([value & MASK], np.uint64))[0])


def _name_hash(name: str) -> int:
    return int(text_hashes(pa.array([name], pa.large_string()))[0])


def _hash(batch: pa.RecordBatch, columns: Sequence[str], number_bits: Canon) -> np.ndarray:
    """Sum over the columns of the mixed (cell + name), mixed once more."""
    total = np.zeros(batch.num_rows, np.uint64)
    term, spare = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    for name in columns:
        seed, cells = _name_hash(name), column(batch, name)
        if is_text(cells.type):
            total += _text_terms(cells, seed, exact=number_bits is _key_bits)
            continue
        bits, missing = _date_bits(cells) if pa.types.is_temporal(cells.type) else number_bits(cells)
        salt, absent = np.uint64(seed), np.uint64(_mix_one(seed + MISSING))
        for start in range(0, len(bits), BLOCK):
            stop = min(start + BLOCK, len(bits))
            block, scratch = term[: stop - start], spare[: stop - start]
            np.add(bits[start:stop], salt, out=block, casting="unsafe")
            _mix_in_place(block, scratch)
            if missing is not None:
                block[missing[start:stop]] = absent
            total[start:stop] += block
    return mix(total)


def _model_bits(cells: pa.Array) -> tuple[np.ndarray, np.ndarray | None]:
    """Bits of the float32 value: (rows,) uint32, and where it is missing."""
    values = as_float32(cells)
    finite = np.isfinite(values)
    bits = (values + np.float32(0.0)).view(np.uint32)  # -0.0 + 0.0 is 0.0
    return bits, None if finite.all() else ~finite


def _key_bits(cells: pa.Array) -> tuple[np.ndarray, np.ndarray | None]:
    """Whole numbers by their 64-bit integer, others by their float64: (rows,) uint64, and where it is missing."""
    missing = np.asarray(cells.is_null(nan_is_null=pa.types.is_floating(cells.type)).to_numpy(zero_copy_only=False), bool)
    if pa.types.is_integer(cells.type) or pa.types.is_boolean(cells.type):
        kind = pa.uint64() if cells.type == pa.uint64() else pa.int64()
        return _tagged(pc.fill_null(cells.cast(kind), 0).to_numpy().view(np.uint64), INTEGER), missing
    values = np.nan_to_num(numbers64(cells), nan=0.0, posinf=np.inf, neginf=-np.inf)
    whole = (np.abs(values) < 2.0**63) & (np.floor(values) == values)
    integers = np.where(whole, values, 0.0).astype(np.int64).view(np.uint64)
    bits = np.where(whole, _tagged(integers, INTEGER), _tagged(values.view(np.uint64), NUMBER))
    return bits, missing


def _date_bits(cells: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970 UTC: (rows,) uint64, and where it is missing."""
    kind = cells.type
    if pa.types.is_date(kind):
        cells = cells.cast(pa.timestamp("ms"), safe=False)
        kind = cells.type
    if pa.types.is_timestamp(kind):
        # Days before 1678 or after 2262 do not fit nanoseconds, so everything goes to microseconds
        cells = cells.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_duration(kind):
        cells = cells.cast(pa.duration("us"), safe=False)
    elif pa.types.is_time(kind):
        cells = cells.cast(pa.time64("us"), safe=False)
    missing = np.asarray(cells.is_null().to_numpy(zero_copy_only=False), bool)
    return _tagged(pc.fill_null(cells.cast(pa.int64()), 0).to_numpy().view(np.uint64), DATE), missing


def _tagged(bits: np.ndarray, tag: int) -> np.ndarray:
    return bits + np.uint64(tag)


def _text_terms(cells: pa.Array, seed: int, *, exact: bool) -> np.ndarray:
    """Terms of a text column: hashed once per distinct text of the batch. (rows,) uint64."""
    coded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    uniques = coded.dictionary
    if not pa.types.is_large_string(uniques.type):
        uniques = uniques.cast(pa.large_string())
    bits = text_hashes(uniques)
    if exact:
        _whole_texts_as_integers(uniques, bits)
    terms = np.append(mix(bits + np.uint64(seed)), np.uint64(_mix_one(seed + MISSING)))
    if uniques.null_count:
        terms[:-1][uniques.is_null().to_numpy(zero_copy_only=False)] = terms[-1]
    indices = coded.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), len(uniques))
    found: np.ndarray = np.take(terms, indices.to_numpy(zero_copy_only=False))
    return found


def _whole_texts_as_integers(uniques: pa.Array, bits: np.ndarray) -> None:
    whole = pc.fill_null(pc.match_substring_regex(uniques, r"^(0|-?[1-9][0-9]{0,17})(\.0+)?$"), False)
    chosen = whole.to_numpy(zero_copy_only=False)
    if chosen.any():
        digits = pc.replace_substring_regex(uniques.filter(whole), r"\.0+$", "")
        bits[chosen] = _tagged(digits.cast(pa.int64()).to_numpy().view(np.uint64), INTEGER)


def text_hashes(texts: pa.Array) -> np.ndarray:
    """Hash of each text's UTF-8 bytes: mixed words of eight bytes, each with its place, summed, and the length.

    Parameters
    ----------
    texts : (n,) large_string; a null counts as ""

    Returns
    -------
    (n,) uint64
    """
    buffers, count = texts.buffers(), len(texts)
    offsets = np.frombuffer(buffers[1], np.int64, count + 1 + texts.offset)[texts.offset :] if buffers[1] else np.zeros(count + 1, np.int64)
    lengths = np.diff(offsets)
    sums = lengths.astype(np.uint64)
    words = (lengths + 7) >> 3
    ends = np.cumsum(words)
    first = 0
    while first < count:
        last = max(first + 1, int(np.searchsorted(ends, (ends[first - 1] if first else 0) + WORDS_AT_ONCE, side="right")))
        some = np.flatnonzero(words[first:last]) + first
        if len(some):
            sums[some] += _word_sums(buffers[2], offsets[some], lengths[some], words[some])
        first = last
    return mix(sums + np.uint64(TEXT))


def _word_sums(data: pa.Buffer, starts: np.ndarray, lengths: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sum of the mixed words of each text (none is empty): (n,) uint64."""
    low, high = int(starts[0]), int(starts[-1] + lengths[-1])
    padded = np.zeros(high - low + 8, np.uint8)
    padded[:-8] = np.frombuffer(data, np.uint8, high - low, low)
    every = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))  # the eight bytes from each place on
    begin = np.cumsum(words) - words
    place = np.arange(int(words.sum()), dtype=np.int64) - np.repeat(begin, words)
    picked = every[np.repeat(starts - low, words) + (place << 3)]
    tail = (begin + words - 1)[lengths & 7 != 0]
    spare_bits = (64 - ((lengths & 7) << 3))[lengths & 7 != 0].astype(np.uint64)
    picked[tail] &= np.uint64(MASK) >> spare_bits
    picked += (place.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN)
    return np.add.reduceat(mix(picked), begin)
