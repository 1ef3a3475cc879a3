"""A finding's three lines, in English or Spanish, from its facts; and how names and values are written so that they can be pasted."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping

from filon.check.records import Fact, Finding, Level
from filon.engines.base import Column
from filon.engines.modules import is_python
from filon.errors import CODES, some
from filon.pages import Lang, Numbers, Words

EXACT = ("area", "limit")
"""Facts that are written as they are, to four figures; facts that end in `_share` are percentages, other numbers are counts."""

DECIMALS = ("psi", "before", "now")
"""Facts that are written with three decimals."""

REASON = "@"
"""A fact that begins so is the name of a text under `[reasons]`."""


def finding(level: Level, code: str, column: str = "", **facts: Fact) -> Finding:
    """A finding in English.

    Parameters
    ----------
    code : `check.what-was-found`, one of `errors.CODES`
    column : "" for the whole table
    **facts : what the texts of `pages/words/findings.en.toml` name in braces
    """
    if code not in CODES:
        raise ValueError(f"{code} is not in errors.CODES")
    known: dict[str, Fact] = {**_names(column), **facts}
    what, evidence, fix = _say("en", code, known)
    return Finding(level=level, code=code, column=column, what=what, evidence=evidence, fix=fix, facts=known)


def grouped(level: Level, code: str, columns: Iterable[str]) -> Finding:
    """One finding for many columns of the same kind, after the first ones."""
    names = list(columns)
    facts: dict[str, Fact] = {"n": len(names), "some": some(names, 10), "grouped": 1}
    what, evidence, fix = _say("en", code, facts)
    return Finding(level=level, code=code, column="", what=what, evidence=evidence, fix=fix, facts=facts)


def translate(one: Finding, lang: Lang) -> Finding:
    """The same finding in another language."""
    what, evidence, fix = _say(lang, one.code, one.facts)
    return dataclasses.replace(one, what=what, evidence=evidence, fix=fix)


def _say(lang: Lang, code: str, facts: Mapping[str, Fact]) -> tuple[str, str, str]:
    words, numbers = Words(lang, "findings"), Numbers(lang)
    shown: dict[str, object] = {name: _shown(name, value, words, numbers) for name, value in facts.items()}
    section = code.partition(".")[2]
    if "grouped" in facts:
        shown["title"] = words(f"{section}.title")
        section = "grouped"
    what, evidence, fix = (words(f"{section}.{line}", **shown) for line in ("what", "evidence", "fix"))
    return what, evidence, fix


def _shown(name: str, value: Fact, words: Words, numbers: Numbers) -> str:
    if isinstance(value, str):
        return words(f"reasons.{value[1:]}") if value[:1] == REASON and f"reasons.{value[1:]}" in words else words.some(value)
    if name.endswith("_share"):
        return numbers.percent(value, 1 if value >= 0.01 else 2)
    if name in DECIMALS:
        return numbers.number(value, 3)
    if name == "chance":
        return numbers.significant(value, 1)
    if name in EXACT:
        return numbers.significant(value, 4)
    return numbers.integer(value) if isinstance(value, int) else numbers.significant(value, 6)


def _names(column: str) -> dict[str, Fact]:
    return {"column": column, "toml": toml_key(column), "name": toml_text(column)} if column else {}


def toml_key(name: str) -> str:
    """A name as a TOML key: bare where that is allowed.

    >>> toml_key("age"), toml_key("Air temperature [K]")
    ('age', '"Air temperature [K]"')
    """
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_text(name)


def toml_text(value: str) -> str:
    """A TOML string; in single quotes when it holds double ones.

    >>> toml_text('say "hi"')
    '\\'say "hi"\\''
    """
    if '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)


def toml_list(values: Iterable[str], most: int = 60) -> str:
    """A TOML list of strings (cut after `most`, with dots that TOML refuses, so that it is not pasted unseen)."""
    items = [toml_text(value) for value in values]
    return f"[{', '.join(items[:most])}{', ...' if len(items) > most else ''}]"


def sql_name(name: str) -> str:
    """A column name in SQL.

    >>> sql_name("Product ID"), sql_name("age")
    ('"Product ID"', 'age')
    """
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def sql_of(column: Column) -> str:
    """A column in SQL that may stand under [data.derive]: one of the recipe's own by its expression, for none of them sees another.

    >>> sql_of(Column(name="rate", kind="number", sql="paid / due")), sql_of(Column(name="age", kind="number"))
    ('(paid / due)', 'age')
    """
    return f"({column.sql})" if column.sql and not is_python(column.sql) else sql_name(column.name)


def sql_text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def plain_name(name: str, suffix: str) -> str:
    """A name for a derived column.

    >>> plain_name("Fecha de alta", "month")
    'fecha_de_alta_month'
    """
    return re.sub(r"[\W_]+", "_", f"{name}_{suffix}").strip("_").lower()


def derive_line(name: str, sql: str) -> str:
    """One line under [data.derive]."""
    return f"{toml_key(name)} = {toml_text(sql)}"


def not_missing(column: str) -> str:
    """A `where` that leaves out rows in which the column is missing, as a TOML string."""
    return toml_text(f"{sql_name(column)} IS NOT NULL")
