"""Dates: what to derive from them, in lines to paste."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from filon.check.wording import derive_line, plain_name, sql_text
from filon.engines.base import ColumnProfile

DAY_S = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

FORMS = (
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "%d-%m-%Y"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    (r"\d{1,2}/\d{1,2}/\d{2}", "%d/%m/%y"),
    (r"\d{1,2}-\d{1,2}-\d{2}", "%d-%m-%y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", "%d %b %Y"),
    (r"[A-Za-z]{3} \d{1,2},? \d{4}", "%b %d, %Y"),
)

SPANISH = {"ene": "jan", "abr": "apr", "ago": "aug", "dic": "dec"}
"""Short names of months that SQL does not know; the others are the same in both languages."""


def day(seconds: float | None) -> str:
    """Seconds since 1970 as a day, also long before it.

    >>> day(0.0), day(-4e9)
    ('1970-01-01', '1843-03-31')
    """
    if seconds is None or not math.isfinite(seconds):
        return "?"
    try:
        return (EPOCH + timedelta(seconds=seconds)).date().isoformat()
    except OverflowError:
        return f"{seconds / (365.2425 * DAY_S) + 1970:.0f}"


def date_parts(name: str, profile: ColumnProfile, cell: str) -> list[tuple[str, str]]:
    """Names and SQL of the features that a date column (`cell` in SQL) can give: those that vary in it."""
    parts = [("month", f"month({cell})"), ("weekday", f"isodow({cell})")]
    span = (profile.maximum or 0.0) - (profile.minimum or 0.0)
    if span > 3 * 365 * DAY_S:
        parts.insert(0, ("year", f"year({cell})"))
    if any(edge % DAY_S for edge in (profile.minimum or 0.0, profile.maximum or 0.0)):  # quantiles may lie between two days
        parts.append(("hour", f"hour({cell})"))
    return [(plain_name(name, part), sql) for part, sql in parts]


def date_lines(name: str, profile: ColumnProfile, cell: str) -> str:
    """The same as lines for [data.derive]."""
    return "; ".join(derive_line(part, sql) for part, sql in date_parts(name, profile, cell))


def parse_lines(name: str, examples: Sequence[str], cell: str) -> str:
    """Lines for [data.derive] that read a date written in another form."""
    words = cell
    if any(month in text.lower() for month in SPANISH for text in examples):
        words = f"lower({words})"
        for month, english in SPANISH.items():
            words = f"replace({words}, {sql_text(month)}, {sql_text(english)})"
    date = f"try_strptime({words}, {sql_text(date_form(examples))})"
    return "; ".join(
        derive_line(plain_name(name, part), f"{function}({date})") for part, function in (("month", "month"), ("weekday", "isodow"))
    )


def date_form(examples: Sequence[str]) -> str:
    """The strptime form that fits the examples; day first, unless a day past 12 stands second.

    >>> date_form(["01/12/2017", "31/12/2017"]), date_form(["12/31/2017 10:30"])
    ('%d/%m/%Y', '%m/%d/%Y %H:%M')
    """
    first = examples[0].strip() if examples else ""
    pattern, form = next(((pattern, form) for pattern, form in FORMS if re.match(pattern + r"(?!\d)", first)), ("", "%Y-%m-%d"))
    if form[:2] == "%d" and form[3:5] == "%m" and any(int(parts[1]) > 12 for parts in map(_parts, examples) if len(parts) > 1):
        form = "%m" + form[2] + "%d" + form[5:]
    rest = re.sub(r"^" + (pattern or r"\S+"), "", first)
    clock = re.search(r"\d{1,2}:\d{2}(:\d{2})?", rest)
    if not clock:
        return form
    joint = "T" if "T" in rest[: clock.start()] else " "
    return f"{form}{joint}%H:%M{':%S' if clock.group(1) else ''}"


def _parts(text: str) -> list[str]:
    return re.findall(r"\d+", text)
