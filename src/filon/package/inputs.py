"""Which source columns a row to be scored must have."""

import re
from collections.abc import Iterator, Sequence

from filon.engines.base import Column

_TOKEN = re.compile(r"""'(?:[^']|'')*' | "((?:[^"]|"")*)" | ([^\W\d]\w*)(\s*\()? | --[^\n]*""", re.VERBOSE)
_PYTHON = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def needed(columns: Sequence[Column], features: Sequence[str]) -> tuple[Column, ...]:
    """Source columns that are features, or that the SQL of a derived feature speaks of; in the table's order."""
    wanted = {*features, *mentioned_by(columns, features)}
    return tuple(column for column in columns if not column.sql and column.name in wanted)


def mentioned_by(columns: Sequence[Column], features: Sequence[str]) -> frozenset[str]:
    """Source columns that derived features are computed from."""
    by_name = {column.name.lower(): column.name for column in columns if not column.sql}
    if any(_PYTHON.fullmatch(column.sql) for column in columns if column.name in features):
        return frozenset(column.name for column in columns if not column.sql and column.role != "label")  # it is handed the whole row
    words = (word.lower() for column in columns if column.sql and column.name in features for word in identifiers(column.sql))
    return frozenset(by_name[word] for word in words if word in by_name)


def identifiers(sql: str) -> Iterator[str]:
    """Names in an SQL expression that could be columns: quoted ones, and words that are not called as functions.

    >>> list(identifiers("month(strptime(month, '%b')) + ceil(Ωmega -- age"))
    ['month', 'Ωmega']
    """
    for found in _TOKEN.finditer(sql):
        quoted, word, called = found.groups()
        if quoted is not None:
            yield quoted.replace('""', '"')
        elif word and not called:
            yield word
