"""What the pages of a Parquet body take unpacked, by their own heads: the footer only claims it, and a bomb's footer lies.

Notes
-----
Source: PageHeader of apache/parquet-format (parquet.thrift), in Thrift's compact protocol (thrift-compact-protocol.md).
"""

from typing import Any

PAGES = 20_000
"""Pages of one body; half a million rows have some hundreds. Each costs us some microseconds."""

NESTED = 16
BOOLEANS, BYTE, DOUBLE, BINARY, STRUCT = (1, 2), 3, 7, 8, 12
VARINTS = frozenset({4, 5, 6})
UNPACKED, PACKED = 2, 3
"""Fields of a PageHeader: sizes of the page without its head."""


def unpacked(body: bytes, facts: Any) -> dict[tuple[int, int], int]:
    """Bytes of each column of each row group once its pages are unpacked.

    Parameters
    ----------
    facts : the file's `pyarrow.parquet.FileMetaData`

    Raises
    ------
    ValueError : when the pages are not what parquet.thrift says
    """
    sizes: dict[tuple[int, int], int] = {}
    pages = 0
    for group in (number for number in range(facts.num_row_groups) if facts.row_group(number).num_rows):
        for place in range(facts.num_columns):
            chunk = facts.row_group(group).column(place)
            at, total = chunk.data_page_offset, 0
            if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
                at = chunk.dictionary_page_offset
            end = at + chunk.total_compressed_size
            if not 0 <= at <= end <= len(body):
                raise ValueError("a column lies outside the file")
            while at < end:
                sizes_of_page, at = _head(body, at)
                total += sizes_of_page[UNPACKED]
                at += sizes_of_page[PACKED]
                pages += 1
                if pages > PAGES:
                    raise ValueError(f"it has more than {PAGES:,} pages")
            sizes[group, place] = total
    return sizes


def _head(body: bytes, at: int) -> tuple[dict[int, int], int]:
    """The sizes that a page's head tells, and where it ends."""
    found = {UNPACKED: 0, PACKED: 0}
    number = 0
    try:
        while body[at]:
            kind, step = body[at] & 15, body[at] >> 4
            at += 1
            if not step:
                number, at = _zigzag(body, at)
            else:
                number += step
            if number in found and kind in VARINTS:
                size, at = _zigzag(body, at)
                if size < 0:
                    raise ValueError("a page of less than nothing")
                found[number] = max(found[number], size)
            else:
                at = _after(body, at, kind, 0)
    except IndexError as exc:
        raise ValueError("a page's head ends too soon") from exc
    return found, at + 1


def _after(body: bytes, at: int, kind: int, depth: int) -> int:
    """Where a value of that kind ends."""
    if depth > NESTED:
        raise ValueError("a page's head is too deep")
    if kind in BOOLEANS:
        return at
    if kind in VARINTS:
        return _varint(body, at)[1]
    if kind in {BYTE, DOUBLE}:
        return at + (1 if kind == BYTE else 8)
    if kind == BINARY:
        length, at = _varint(body, at)
        return at + length
    if kind == STRUCT:
        while body[at]:
            inner, step = body[at] & 15, body[at] >> 4
            at = at + 1 if step else _varint(body, at + 1)[1]
            at = _after(body, at, inner, depth + 1)
        return at + 1
    raise ValueError("a page's head holds what none has")  # lists, sets and maps


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of a page's head is too long")


def _zigzag(body: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(body, at)
    return (value >> 1) ^ -(value & 1), at
