"""How a CSV is written, sniffed from its pieces: encoding, separator, quoting, header, decimal mark."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from filon.engines.base import Dialect
from filon.errors import DataError, RecipeError
from filon.read.kinds import COMMA_NUMBER, NUMBER
from filon.read.ragged import refuse_ragged
from filon.read.settings import CsvSettings, DataSettings

SEPARATORS = (",", ";", "\t", "|", " ")
RECORDS = 2000
"""Records of the head looked at."""

GUESSED = 1 << 20
"""Characters of the head by which separator and quotes are guessed."""

ENDS = re.compile(r"\r\n|\n|\r")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}((\.\d{3})+|(,\d{3})+)")
"""What may be a number of three decimals, or whole and in groups of three."""

UNKNOWN = {"?", "-", ".", "unknown"}
"""Words for missing that people write without telling; none of them is a column name."""


def sniff(found: Sequence[bytes], settings: DataSettings, origin: str, *, gzip: bool) -> tuple[Dialect, tuple[str, ...], list[list[str]]]:
    """Dialect, column names as written (or made up) and the sampled records of all pieces.

    Raises
    ------
    DataError : `read.empty`, `read.binary`, `read.not-a-table`, `read.no-rows`, `read.ragged`, `read.encoding`
    RecipeError : `read.encoding-unknown`, `read.names-count`
    """
    said = settings.csv
    encoding = said.encoding or detect_encoding(found, origin)
    texts = decode(found, encoding, origin)
    first = texts[0][:GUESSED]
    separator = said.separator or guess_separator(first, '"' if said.quote is None else said.quote, _known(settings))
    quote = said.quote if said.quote is not None else guess_quote(first, separator)
    head = parse(texts[0], separator, quote)
    if not head:
        raise DataError(
            "read.empty", f"{origin} holds no rows", "there is nothing but blank lines in it", "point data.source at a file with data"
        )
    header = _has_header(head, settings)
    width = _width(head, header=header)
    refuse_ragged(head, width, origin, separator)
    names = _names(head[0], said, header=header, width=width)
    rows = head[1:] if header else head
    if not rows:
        raise DataError(
            "read.no-rows",
            f"{origin} has a header and no rows",
            f"its only line names {len(names)} columns",
            "point data.source at a file with data",
        )
    for text in texts[1:]:
        rows += [record for record in parse(text, separator, quote, inside=True) if len(record) == width]
    dialect = Dialect(
        separator=separator,
        quote=quote,
        encoding=encoding,
        header=header,
        decimal=said.decimal or guess_decimal(rows),
        names=() if header and not said.names else names,
        missing=settings.missing,
        compression="gzip" if gzip else "",
    )
    return dialect, names, rows


def _known(settings: DataSettings) -> set[str]:
    """Names the recipe is sure of."""
    return {settings.label, *settings.key, *settings.drop, *settings.columns, settings.weight or "", settings.time or ""} - {""}


def detect_encoding(found: Sequence[bytes], origin: str) -> str:
    """Python codec name: by the byte-order mark, the zeros of UTF-16, valid UTF-8, else cp1252 or (where that has holes) latin-1."""
    head = found[0]
    for mark, name in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(mark):
            return name
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if even + odd > len(head) * 0.3:
        if odd > 20 * even:
            return "utf-16-le"
        if even > 20 * odd:
            return "utf-16-be"
    every = b"\n".join(found)
    refuse_binary(every, origin)
    if all(_is_utf8(one, first=place == 0) for place, one in enumerate(found)):
        return "utf-8"
    return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", every) else "cp1252"


def _is_utf8(piece: bytes, *, first: bool) -> bool:
    """Whether a piece that may begin and end inside a character is UTF-8."""
    begin = 0
    while not first and begin < min(3, len(piece)) and 0x80 <= piece[begin] < 0xC0:
        begin += 1
    try:
        piece[begin:].decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.reason == "unexpected end of data" and begin + exc.end >= len(piece)
    return True


MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"ARROW1": "an Arrow file",
    b"ORC": "an ORC file",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"Obj\x01": "an Avro file",
}


def refuse_binary(data: bytes, origin: str) -> None:
    """Raise for what is no text at all.

    Raises
    ------
    DataError : `read.not-a-table` (a known format), `read.binary`
    """
    for mark, what in MAGIC.items():
        if data.startswith(mark):
            raise DataError(
                "read.not-a-table",
                f"{origin} is {what}",
                "Filon reads CSV (also .gz) and Parquet",
                "save or unpack it as CSV or Parquet first",
            )
    control = sum(data.count(bytes([byte])) for byte in range(32) if byte not in b"\t\n\r\f\x1a")
    if data and (control > len(data) * 0.005 or b"\0" in data):
        raise DataError(
            "read.binary",
            f"{origin} is not text",
            f"{control:,} of its first {len(data):,} bytes are control characters",
            "point data.source at a CSV or Parquet file",
        )


def decode(found: Sequence[bytes], encoding: str, origin: str) -> list[str]:
    """Pieces as texts; characters cut by a piece's end are left away.

    Raises
    ------
    RecipeError : `read.encoding-unknown`
    """
    try:
        b" ".decode(encoding, "replace")  # looks it up, and refuses codecs of no text, such as base64
    except (LookupError, ValueError) as exc:
        raise RecipeError(
            "read.encoding-unknown",
            f'there is no encoding "{encoding}"',
            "data.csv.encoding is a Python codec name",
            'write data.csv.encoding = "utf-8" (or "cp1252", "latin-1", "utf-16")',
        ) from exc
    later = encoding
    if encoding.lower() in {"utf-16", "utf-32"}:
        later = encoding + ("-be" if found[0][:2] in {b"\xfe\xff", b"\0\0"} else "-le")
    texts = [found[0].decode(encoding, "replace"), *(one.decode(later, "replace") for one in found[1:])]
    bad = texts[0][:-1].count("�")
    if bad > max(1, len(texts[0]) // 1000):
        raise DataError(
            "read.encoding",
            f"{origin} is not written in {encoding}",
            f"{bad:,} characters of its beginning are no {encoding}",
            "leave data.csv.encoding out, or set the right one",
        )
    return texts


def parse(text: str, separator: str, quote: str, *, inside: bool = False) -> list[list[str]]:
    """Whole records of a piece; the last one is left away if the piece may have cut it, and so is the first when it begins inside."""
    if inside:
        found = ENDS.search(text)
        text = text[found.end() :] if found else ""
    whole = len(text) < 1 << 16 or text.endswith(("\n", "\r"))
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quotechar=quote or None, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    )
    csv.field_size_limit(1 << 30)
    records: list[list[str]] = []
    for record in reader:
        if record and any(record):
            records.append(record)
        if len(records) > RECORDS:
            return records[:-1]
    return records if (whole and not inside) or len(records) < 2 else records[:-1]


def guess_separator(text: str, quote: str, known: set[str]) -> str:
    """The separator that cuts the head into equal and clean records; "," when none does (one column)."""
    best, best_score = ",", 0.0
    for separator in SEPARATORS:
        records = parse(text, separator, quote)[:500]
        if not records:
            continue
        mode, times = Counter(len(record) for record in records).most_common(1)[0]
        if mode < 2:
            continue
        cells = [cell for record in records for cell in record]
        others = [other for other in SEPARATORS[:4] if other != separator]
        dirty = sum(1 for cell in cells if any(other in cell for other in others) and not COMMA_NUMBER.fullmatch(cell.strip()))
        score = (
            times / len(records) * (1 - dirty / len(cells)) * (1.0 if len(records[0]) == mode else 0.5) * (0.8 if separator == " " else 1.0)
        )
        score += 1.0 if known & {cell.strip() for cell in records[0]} else 0.0
        if score > best_score + 1e-9:
            best, best_score = separator, score
    return best


def guess_quote(text: str, separator: str) -> str:
    """The apostrophe where cells stand in apostrophes and none in quotation marks; else the quotation mark."""
    cells = [cell.strip() for record in parse(text, separator, "")[:500] for cell in record]
    single = sum(1 for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == "'")
    double = sum(1 for cell in cells if cell.startswith('"'))
    return "'" if single > len(cells) * 0.05 and not double else '"'


def _has_header(head: list[list[str]], settings: DataSettings) -> bool:
    said = settings.csv
    if said.header is not None:
        return said.header
    if said.names:
        return False
    first = [cell.strip() for cell in head[0]]
    if _known(settings) & set(first):
        return True
    return looks_like_header(first, head[1:])


def looks_like_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether line one names the columns: it is text over numbers, or words that its columns never say again."""
    for_, against, again, worded = 0, 0, 0, 0
    for place, cell in enumerate(first):
        below = [row[place].strip() for row in rows[:500] if place < len(row)]
        numeric = sum(1 for value in below if NUMBER.fullmatch(value) or COMMA_NUMBER.fullmatch(value))
        mostly = bool(below) and numeric > 0.8 * len(below)
        if NUMBER.fullmatch(cell) or COMMA_NUMBER.fullmatch(cell):
            against += mostly
        elif mostly and cell.lower() not in UNKNOWN and cell:
            for_ += 1
        elif cell and not mostly:
            worded += 1
            again += cell in below
    if for_ or against:
        return for_ > against
    return not (worded and again >= worded * 0.5)


def _width(head: list[list[str]], *, header: bool) -> int:
    return len(head[0]) if header else Counter(len(record) for record in head).most_common(1)[0][0]


def _names(first: list[str], said: CsvSettings, *, header: bool, width: int) -> tuple[str, ...]:
    if said.names:
        if len(said.names) != width:
            raise RecipeError(
                "read.names-count",
                f"data.csv.names has {len(said.names)} names, the file {width} columns",
                f"the first record begins {first[:3]}",
                f"give {width} names",
            )
        return said.names
    if not header:
        return tuple(f"column_{place}" for place in range(1, width + 1))
    return tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(first, 1))


def guess_decimal(rows: Sequence[Sequence[str]]) -> Literal[".", ","]:
    """The comma where more columns write decimals with it than with the point.

    Groups of three digits count only where nothing else tells: 1.234 beside 0,5 is a thousand, and so is 1,234 beside 0.5."""
    sure, perhaps = {",": 0, ".": 0}, {",": 0, ".": 0}
    for place in range(len(rows[0])):
        cells = {row[place].strip() for row in rows[:500] if place < len(row)}
        comma = {cell for cell in cells if COMMA_NUMBER.fullmatch(cell) or ("," in cell and THOUSANDS.fullmatch(cell))}
        point = {cell for cell in cells if "." in cell and (NUMBER.fullmatch(cell) or THOUSANDS.fullmatch(cell))}
        if len(comma) == len(point):
            continue
        mark, written = (",", comma) if len(comma) > len(point) else (".", point)
        thousands = all(THOUSANDS.fullmatch(cell) for cell in written)
        (perhaps if thousands else sure)[mark] += 1
    return "," if (sure[","], perhaps[","]) > (sure["."], perhaps["."]) else "."
