"""What the cells of a column are, judged by a sample of them."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from filon.engines.base import Kind
from filon.engines.kinds import is_free_text

NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|inf(inity)?)", re.IGNORECASE)
COMMA_NUMBER = re.compile(r"[+-]?([0-9]+,[0-9]+|,[0-9]+)([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
BOOLEAN = {"true", "false"}
"""Only these words make a boolean by themselves: yes/no and 1/0 mean the same to a model as category and number."""

ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d/%m/%y", "%m/%d/%y")
TIMES = ("", " %H:%M", " %H:%M:%S")
"""Day-first comes before month-first: where every day is below 13 nothing tells them apart, and most of the world writes the day first."""

MOSTLY = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """Kind of a column, with the strptime format of its dates and whether its numbers are whole."""

    kind: Kind
    format: str = ""
    whole: bool = False


def guess(cells: Iterable[str], missing: tuple[str, ...], decimal: str = ".") -> Guess:
    """Kind of a column of texts by a sample of its cells.

    >>> guess(["1", "2", ""], ("",)).kind, guess(["31/12/2020", "01/01/2021"], ("",)).format
    ('number', '%d/%m/%Y')
    """
    absent = set(missing)
    counts = Counter(cell for cell in (raw.strip() for raw in cells) if cell not in absent)
    total = sum(counts.values())
    if not total:
        return Guess(kind="category")
    if {value.lower() for value in counts} <= BOOLEAN:
        return Guess(kind="boolean")
    if _mostly_numbers(counts, total, decimal):
        return Guess(kind="number", whole=all(WHOLE.fullmatch(value) for value in counts))
    form = date_format(counts, total)
    if form is not None:
        return Guess(kind="date", format=form)
    return Guess(kind="text" if is_free_text(counts) else "category")


def is_number(value: str, decimal: str) -> bool:
    """Whether a stripped cell is a number (see `engines.cast` for the rule on all rows)."""
    if decimal == ",":
        return "." not in value and NUMBER.fullmatch(value.replace(",", ".", 1)) is not None
    return NUMBER.fullmatch(value) is not None


def _mostly_numbers(counts: Counter[str], total: int, decimal: str) -> bool:
    """Nearly all, or more than half when the rest is one and the same word (such as "?"), which then must mean missing."""
    odd = {value: times for value, times in counts.items() if not is_number(value, decimal)}
    rows = total - sum(odd.values())
    if not rows:
        return False
    return rows >= MOSTLY * total or (len(odd) == 1 and rows > 0.5 * total and len(counts) > 3)


def date_format(counts: Counter[str], total: int) -> str | None:
    """strptime format that nearly all cells fit ("" for ISO 8601), None when there is none."""
    if _share(counts, total, lambda value: bool(ISO.fullmatch(value)) and _is_iso(value)) >= MOSTLY:
        return ""
    some = next(iter(counts))
    if not any(char.isdigit() for char in some) or len(some) > 24 or len(some) < 6:
        return None
    forms = (day + time for day in DAYS for time in TIMES)
    return next((form for form in forms if _share(counts, total, partial(_fits, form)) >= MOSTLY), None)


def _share(counts: Counter[str], total: int, fits: Callable[[str], bool]) -> float:
    """Share of cells that fit, given up once it cannot be enough."""
    missed = 0
    for value, times in counts.items():
        if not fits(value):
            missed += times
            if missed > (1 - MOSTLY) * total:
                return 0.0
    return 1 - missed / total


def _is_iso(value: str) -> bool:
    try:
        dt.date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def _fits(form: str, value: str) -> bool:
    try:
        dt.datetime.strptime(value, form)
    except ValueError:
        return False
    return True
