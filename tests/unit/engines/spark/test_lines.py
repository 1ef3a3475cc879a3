"""Where lines begin, from any place of a file; no Spark is started."""

import csv
import io
import random
from dataclasses import replace
from pathlib import Path

import pytest

from filon.engines.base import Column, Dialect, File, Source
from filon.engines.spark import lines
from filon.engines.spark.pieces import Part, Piece, cut, rows_of
from filon.errors import DataError


def file_of(path: Path, text: str) -> File:
    path.write_bytes(text.encode())
    return File(path=str(path), size_bytes=path.stat().st_size)


def starts(text: bytes) -> list[int]:
    return [0, *(place + 1 for place, byte in enumerate(text) if byte == 10)]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_a_range_begins_with_the_first_line_that_begins_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    text = 'a,b\n1,"x, y"\n\n22,"say ""no"""\r\n333,\n4,z'
    file = file_of(tmp_path / "t.csv", text)
    known = starts(text.encode())
    for begin in range(file.size_bytes):
        for end in range(begin + 1, file.size_bytes + 1):
            wanted = next((place for place in known if begin <= place < end), file.size_bytes)
            assert lines.look(file, begin, end, '"') == (wanted, True)


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_a_cell_of_several_lines_is_seen_by_the_range_it_begins_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    text = 'a,b\n1,x\n2,"two\nlines"\n3,y\n4,z\n'
    file, at = file_of(tmp_path / "t.csv", text), text.index("2,")
    for begin in range(file.size_bytes):
        for end in range(begin + 1, file.size_bytes + 1):
            _start, sure = lines.look(file, begin, end, '"')
            if begin <= at < end:
                assert not sure
    assert lines.look(file, 0, 4, '"') == (0, True)
    assert lines.look(file, 0, file.size_bytes, "")[1]


def source_of(file: File) -> Source:
    columns = tuple(Column(name=name, kind="category") for name in ("n", "said"))
    return Source(format="csv", files=(file,), dialect=Dialect(missing=()), columns=columns, origin="t.csv")


def test_ranges_hold_each_row_once_and_in_order(tmp_path: Path) -> None:
    chance, out = random.Random(4), io.StringIO()
    rows = [(str(k), "".join(chance.choices('ab", ñ', k=chance.randrange(9))).strip()) for k in range(3000)]
    csv.writer(out, lineterminator="\n").writerows([("n", "said"), *rows])
    file = file_of(tmp_path / "t.csv", out.getvalue())
    places = sorted({lines.look(file, begin, file.size_bytes, '"')[0] for begin in range(0, file.size_bytes, 5000)})
    assert len(places) > 4
    pieces = cut(source_of(file), 1, {file.path: list(zip(places, [*places[1:], file.size_bytes], strict=True))}).pieces
    parts = [part for piece in pieces for part in piece.parts]
    assert len(parts) == len(places)
    found = [row for part in parts for row in rows_in(tmp_path, source_of(file), Piece(parts=(part,)))]
    assert found == rows


def rows_in(folder: Path, source: Source, piece: Piece) -> list[tuple[str, str]]:
    batches = rows_of(source, piece, None, ["n", "said"], 1000, folder)
    return [(row["n"], row["said"] or "") for batch in batches for row in batch.to_pylist()]


def test_a_ragged_line_of_a_range_is_told_by_its_line_in_the_file(tmp_path: Path) -> None:
    body = [f"{k},word" for k in range(5000)]
    body[4000] = "1,2,3"
    file = file_of(tmp_path / "t.csv", "n,said\n" + "\n".join(body) + "\n")
    start, _sure = lines.look(file, 20_000, file.size_bytes, '"')
    with pytest.raises(DataError) as caught:
        rows_in(tmp_path, source_of(file), Piece(parts=(Part(file=file, first=start, last=file.size_bytes),)))
    assert caught.value.code == "read.ragged"
    with pytest.raises(DataError) as whole:
        rows_in(tmp_path, source_of(file), Piece(parts=(Part(file=file),)))
    assert str(caught.value) == str(whole.value)
    assert "4,002" in caught.value.why


def test_packed_and_other_alphabets_are_read_whole() -> None:
    file = File(path="t.csv.gz", size_bytes=1 << 40)
    source = source_of(file)
    for dialect in (Dialect(compression="gzip"), Dialect(encoding="cp1252")):
        assert lines.ranges(replace(source, dialect=dialect), None) == {}  # type: ignore[arg-type]
