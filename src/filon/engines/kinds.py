"""What engines and `read` must judge alike: which texts are free texts, and which kinds are no features."""

from collections import Counter
from collections.abc import Mapping

from filon.engines.base import Kind

ENOUGH_FOR_TEXT = 50

NEVER_FEATURES: Mapping[Kind, str] = {
    "date": "a date is no feature by itself; derive what matters of it, e.g. month(...)",
    "text": "free text is no feature",
    "other": "lists, structs and binary are no features",
}


INSIDE = (
    ("map<", "count", "cardinality({})"),
    ("time", "hour", "hour({})"),
    ("duration", "number", "CAST({} AS DOUBLE)"),
    ("binary", "bytes", "octet_length({})"),
    ("large_binary", "bytes", "octet_length({})"),
    ("binary_view", "bytes", "octet_length({})"),
    ("fixed_size_binary", "bytes", "octet_length({})"),
)
"""What can be derived from cells that are no features: type as Arrow names it, a word for it, SQL."""


def inside(stored: str, quoted: str) -> tuple[str, str]:
    """A word for, and the SQL of, something that can be taken out of cells of an Arrow type that is no feature.

    >>> inside("list<element: int64>", "tags"), inside("struct<a: int64, b: string>", "st"), inside("time64[us]", "tm")
    (('count', 'len(tags)'), ('a', 'st."a"'), ('hour', 'hour(tm)'))
    """
    if stored.startswith("struct<"):
        field = stored.removeprefix("struct<").partition(":")[0]
        return field, f'{quoted}."{field}"'
    return next(((word, sql.format(quoted)) for start, word, sql in INSIDE if stored.startswith(start)), ("count", f"len({quoted})"))


def is_free_text(counts: Counter[str]) -> bool:
    """Long and mostly distinct: sentences, names, addresses; not codes, which have no spaces.

    >>> is_free_text(Counter(f"Mr. John Smith the {k}th" for k in range(60))), is_free_text(Counter(["red", "blue"]))
    (True, False)
    """
    total, distinct = sum(counts.values()), len(counts)
    if not distinct:
        return False
    length = sum(len(value) for value in counts) / distinct
    spaces = sum(value.count(" ") for value in counts) / distinct
    if length > 200:
        return True
    if distinct < 0.9 * total and not (length > 50 and distinct > 0.5 * total):
        return False
    return (total >= ENOUGH_FOR_TEXT and spaces >= 2) or (length > 50 and spaces >= 3)
