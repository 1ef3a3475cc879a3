"""Derived columns and the row filter: the recipe's SQL is refused when it is no function of one row, and typed by DuckDB."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from filon.engines.base import Column, Kind, Source
from filon.engines.cast import quoted
from filon.engines.kinds import NEVER_FEATURES
from filon.errors import RecipeError, some

if TYPE_CHECKING:
    import duckdb


VOLATILE = ("random", "uuid", "now", "current_timestamp", "current_date", "today", "nextval", "generate_subscripts", "getenv")


def mentions(name: str, source: Source) -> bool:
    """Whether the recipe's SQL may name the column (a word of that name is enough)."""
    return mentioned(name, sql_of(source))


def sql_of(source: Source) -> str:
    """All the SQL of the recipe in one text."""
    return " ".join(filter(None, [source.where, *(column.sql for column in source.columns)]))


def mentioned(name: str, sql: str) -> bool:
    """Whether a text of SQL may name the column."""
    return bool(sql) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE) is not None


def refuse_unless_rowwise(sql: str, where: str) -> None:
    """Raise when an expression is not SQL, or looks beyond its row, or changes from one look to the next.

    Raises
    ------
    RecipeError : `read.derive-sql`, `read.derive-not-rowwise`
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError as exc:
        raise _bad_sql(sql, where, _plain(str(exc))) from exc
    far = tree.find(exp.AggFunc, exp.Window, exp.Select, exp.Table, exp.Command, exp.Explode, exp.Unnest)
    if far is not None or not isinstance(tree, exp.Expression):
        found = far.sql(dialect="duckdb")[:80] if far else "no expression"
        raise RecipeError(
            "read.derive-not-rowwise",
            f"{where} looks beyond its row",
            f"{sql!r} holds {found!r}: sums, windows and subqueries change with the rows around, so a served model could not repeat it",
            "write a function of one row's columns, or compute the column before (in the source)",
        )
    volatile = [name for name in VOLATILE if re.search(rf"\b{name}\b", sql, re.IGNORECASE)]
    if volatile:
        raise RecipeError(
            "read.derive-not-rowwise",
            f"{where} gives another value each time",
            f"{sql!r} calls {some(volatile)}",
            "write a function of the row's columns alone",
        )


def bind(connection: "duckdb.DuckDBPyConnection", column: Column, view: str, names: list[str], derived: Iterable[str] = ()) -> str:
    """DuckDB's type of a derived column over the rows of a view.

    Parameters
    ----------
    names, derived : the source's columns and the recipe's own, for the words of an error

    Raises
    ------
    RecipeError : `read.derive-sql`, with DuckDB's reason
    """
    import duckdb

    where = f"data.derive.{column.name}"
    refuse_unless_rowwise(column.sql, where)
    try:
        described = connection.execute(f"DESCRIBE SELECT (\n{column.sql}\n) AS x FROM {view}").fetchall()
    except duckdb.Error as exc:
        found = _bad_sql(column.sql, where, _plain(str(exc)), names)
        if other := next((name for name in derived if f'"{name}" not found' in str(exc)), None):
            fix = f'write the expression of "{other}" into {where}: derived columns are made of source columns, none sees another'
            found = RecipeError(found.code, found.what, found.why, fix)
        raise found from exc
    return str(described[0][1])


def bind_where(connection: "duckdb.DuckDBPyConnection", sql: str, view: str, names: list[str]) -> None:
    """Raise unless the filter is a condition over the view's columns.

    Raises
    ------
    RecipeError : `read.derive-sql`
    """
    import duckdb

    refuse_unless_rowwise(sql, "data.where")
    try:
        connection.execute(f"DESCRIBE SELECT 1 FROM {view} WHERE (\n{sql}\n)")
    except duckdb.Error as exc:
        raise _bad_sql(sql, "data.where", _plain(str(exc)), names) from exc


def _bad_sql(sql: str, where: str, reason: str, names: list[str] | None = None) -> RecipeError:
    why = f"{sql!r}: {reason}"
    return RecipeError(
        "read.derive-sql",
        f"{where} is not SQL that Filon can run",
        why,
        f"correct {where} in the recipe (DuckDB's dialect" + (f"; columns: {some(names)})" if names else ")"),
    )


def _plain(said: str) -> str:
    """The reason in an SQL error, without its class, colours and drawing."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)
    said = re.sub(r'"(stored|misfit):[^"]*"(, )?', "", said)  # columns of the views that the recipe cannot name
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(("LINE ", " "))]
    return re.sub(r"^[A-Z][\w ]* Error: ", "", " ".join(lines).rstrip(", "))[:300]


def kind_of(sql_type: str) -> Kind:
    """Kind of a DuckDB type; "category" for texts until their cells are looked at."""
    name = sql_type.upper()
    if (
        name.endswith("[]")
        or name.startswith(("STRUCT", "MAP", "UNION", "BLOB", "BIT", "INTERVAL", "TIME ", "JSON", "VARIANT"))
        or name == "TIME"
    ):
        return "other"
    if name == "BOOLEAN":
        return "boolean"
    if name.startswith(("DATE", "TIMESTAMP")):
        return "date"
    if name in {"VARCHAR", "UUID", "NULL", '"NULL"'} or name.startswith("ENUM"):
        return "category"
    return "number"


def settled(column: Column, kind: Kind, sql_type: str) -> Column:
    """A derived column whose kind is known; one that can be no feature is left out, unless the recipe gave it another role."""
    column = replace(column, kind=kind, stored=sql_type)
    if column.role == "feature" and kind in NEVER_FEATURES:
        return replace(column, role="left-out", why=NEVER_FEATURES[kind])
    return column


def as_kind(column: Column, sql_type: str) -> str:
    """The expression that brings a derived column from DuckDB's type to its kind's."""
    cell, found = quoted(column.name), kind_of(sql_type)
    if column.kind == "number":
        return cell if sql_type in {"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"} else f"TRY_CAST({cell} AS DOUBLE)"
    if column.kind == "boolean":
        return cell if found == "boolean" else f"TRY_CAST({cell} AS BOOLEAN)"
    if column.kind == "date":
        return f"TRY_CAST({cell} AS TIMESTAMP)"
    return f"CAST({cell} AS VARCHAR)" if column.kind in {"category", "text"} and sql_type != "VARCHAR" else cell
