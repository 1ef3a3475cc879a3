"""The rules by which cells become typed values: one place, as SQL in DuckDB's dialect, which the Spark engine has translated.

A typed column is DOUBLE (or the file's own number type; NaN is missing too), BOOLEAN, TIMESTAMP (UTC) or VARCHAR. A cell that does
not fit its column's kind is NULL; `misfit` finds it.
"""

from collections.abc import Sequence
from typing import Literal

from filon.engines.base import Column, Dialect

Numbers = Literal["portable", "quick"]
"""portable: a strict pattern before the cast, which any engine obeys (Java would take "1d" and "0x1p3"); quick: DuckDB's own cast, which
takes what the pattern takes and "1_000", so only that is kept out (a test holds the two together)."""

SPACE = " \t\n\v\f\r"
NUMBER = f"^[{SPACE}]*[+-]?(([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])[{SPACE}]*$"
"""What counts as a number in text: no thousands marks, no units, no hexadecimal."""

ISO_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "verdadero", "sí", "si", "s")
FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "falso")

WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FRACTIONAL = ("halffloat", "float", "double", "float16", "float32", "float64")


def quoted(name: str) -> str:
    """A column name as an SQL identifier.

    >>> quoted('Temperature(°C)')
    '"Temperature(°C)"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def words(texts: Sequence[str]) -> str:
    """Texts as an SQL list: ('a', 'b')."""
    return "(" + ", ".join(literal(text) for text in texts) + ")"


def typed(column: Column, dialect: Dialect | None, numbers: Numbers = "quick") -> str:
    """The expression that types one source column of the raw rows (in which CSV cells and hive values are VARCHAR).

    Parameters
    ----------
    column : a source column (no derived one)
    dialect : of a CSV; None for Parquet
    """
    cell = quoted(column.name)
    if column.stored == "text":
        return _from_text(cell, column, _missing(dialect), "." if dialect is None else dialect.decimal, numbers)
    if _is_text(column.stored) and column.kind not in {"category", "text", "other"}:
        return _from_text(cell, column, (), ".", numbers)
    return _from_stored(cell, column)


def misfit(column: Column, dialect: Dialect | None) -> str:
    """The condition on raw rows that a cell is there but does not fit its column's kind ("FALSE" where that cannot be)."""
    textual = column.stored == "text" or _is_text(column.stored)
    if not textual or column.kind not in {"number", "boolean", "date"}:
        return "FALSE"
    cell = quoted(column.name)
    missing = _missing(dialect) if column.stored == "text" else ()
    there = f"trim({cell}) NOT IN {words(('', *missing))}"
    return f"({cell} IS NOT NULL AND {there} AND ({typed(column, dialect)}) IS NULL)"


def _missing(dialect: Dialect | None) -> tuple[str, ...]:
    return ("",) if dialect is None else dialect.missing


def _is_text(stored: str) -> bool:
    return "string" in stored


def _from_text(cell: str, column: Column, missing: tuple[str, ...], decimal: str, numbers: Numbers) -> str:
    if column.kind == "number":
        return _number(cell, missing, decimal, numbers)
    if column.kind == "boolean":
        low = f"lower(trim({cell}))"
        absent = f"WHEN trim({cell}) IN {words(missing)} THEN NULL " if missing else ""
        return f"CASE {absent}WHEN {low} IN {words(TRUE)} THEN TRUE WHEN {low} IN {words(FALSE)} THEN FALSE ELSE NULL END"
    if column.kind == "date":
        return _date(cell, column.format)
    if column.kind == "other" or not missing:
        return cell
    return f"CASE trim({cell}) {_null_for(missing)} ELSE trim({cell}) END"


def _number(cell: str, missing: tuple[str, ...], decimal: str, numbers: Numbers) -> str:
    # With a decimal comma a point has no meaning: it becomes a mark that no number holds
    plain = cell if decimal == "." else f"replace(replace({cell}, '.', '_'), ',', '.')"
    if numbers == "quick":
        number = f"CASE WHEN contains({plain}, '_') THEN NULL ELSE TRY_CAST({plain} AS DOUBLE) END"
    else:
        number = (
            f"CASE WHEN regexp_matches({plain}, {literal(NUMBER)}) THEN TRY_CAST(trim({plain}, {literal(SPACE)}) AS DOUBLE) ELSE NULL END"
        )
    # Only a word that could be taken for a number (such as -999) must be looked for
    figures = tuple(word for word in missing if any(digit in word for digit in "0123456789"))
    return f"CASE trim({cell}) {_null_for(figures)} ELSE {number} END" if figures else number


def _null_for(missing: Sequence[str]) -> str:
    """WHEN '' THEN NULL WHEN 'NA' THEN NULL ...: a fifth faster than an IN list, which some engines turn into a join."""
    return " ".join(f"WHEN {literal(word)} THEN NULL" for word in missing)


def _date(cell: str, form: str) -> str:
    if form:
        return f"try_strptime(trim({cell}), {literal(form)})"
    moment = f"CAST(TRY_CAST(trim({cell}) AS TIMESTAMPTZ) AS TIMESTAMP)"  # without a zone it is UTC, as the session is
    return f"CASE WHEN regexp_matches(trim({cell}), {literal(ISO_DATE)}) THEN {moment} ELSE NULL END"


def _from_stored(cell: str, column: Column) -> str:
    stored = column.stored
    if column.kind == "number":
        if stored in WHOLE or stored in FRACTIONAL:
            return cell
        if stored.startswith(("date", "timestamp")):
            return f"epoch({_moment(cell, stored)})"
        return f"CAST({cell} AS DOUBLE)"
    if column.kind == "boolean":
        return cell if stored == "bool" else f"({cell} <> 0)"
    if column.kind == "date":
        return _moment(cell, stored) if stored.startswith(("date", "timestamp")) else _date(f"CAST({cell} AS VARCHAR)", column.format)
    if column.kind in {"category", "text"} and not _is_text(stored):
        return _as_words(cell, stored)
    return cell


def _moment(cell: str, stored: str) -> str:
    """A stored date or time in UTC, to the microsecond: DuckDB cannot go there at once from nanoseconds with a zone (as pandas writes)."""
    return f"CAST(CAST({cell} AS TIMESTAMPTZ) AS TIMESTAMP)" if stored.startswith("timestamp[ns, tz=") else f"CAST({cell} AS TIMESTAMP)"


def _as_words(cell: str, stored: str) -> str:
    """The text of a stored number or date: 1 for 1.0, as a CSV would have it."""
    if stored in FRACTIONAL or stored.startswith("decimal"):
        whole = f"CAST({cell} AS DOUBLE) = floor(CAST({cell} AS DOUBLE)) AND abs(CAST({cell} AS DOUBLE)) < 9e15"
        return f"CASE WHEN {whole} THEN CAST(CAST({cell} AS BIGINT) AS VARCHAR) ELSE CAST({cell} AS VARCHAR) END"
    return f"CAST({cell} AS VARCHAR)"
