"""One column at a time: does it stay a feature, and what should the user know of it?"""

import re
from dataclasses import dataclass

from filon.check.amounts import number_line
from filon.check.dates import date_lines, day, parse_lines
from filon.check.records import Finding
from filon.check.settings import CheckSettings
from filon.check.wording import derive_line, finding, plain_name, sql_of, toml_list, toml_text
from filon.engines.base import Column, ColumnProfile, Profile, TopValue
from filon.engines.kinds import inside
from filon.engines.profiling.numbers import number_text
from filon.errors import some
from filon.read.settings import DataSettings

ID_ROWS = 50
"""In fewer rows than this, a column of different values may well be a coincidence."""

_EDGE, _END = r"(^|[\s_.-])", r"([\s_.-]|$)"
ID_NAME = re.compile(
    _EDGE
    + r"(id|ids|uuid|guid|key|index|idx|nr|num|no|number|code|codigo|código|clave|ref|row|fila|rownum|row_?number)"
    + _END
    + r"|[a-z](Id|ID|Code|Key)$|^unnamed: ?0$|^udi$",
    re.IGNORECASE,
)
CODE_NAME = re.compile(
    _EDGE
    + r"(id|code|codigo|código|zip|zipcode|postal|postcode|cp|agent|company|region|zone|zona|type|tipo|store|shop|branch|sucursal)"
    + _END
    + r"|[a-z](Id|ID|Code|Type)$",
    re.IGNORECASE,
)
MISSING_WORDS = (
    "unknown",
    "?",
    "missing",
    "n.a.",
    "n.d.",
    "nd",
    "n/d",
    "s/d",
    "sin dato",
    "sin datos",
    "desconocido",
    "not available",
    "undefined",
    "-",
    "--",
    ".",
    "*",
)
MOSTLY = 0.9
"""Share of cells past which a text column is taken for what most of its cells are."""

PERFECT = 0.9999
"""Area under ROC past which a column is the label in other words: one row in a hundred thousand pairs out of order."""

PERFECT_ROWS = 10
"""Rows the smaller class needs before a faultless column is more than luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What every question about a column may need."""

    column: Column
    profile: ColumnProfile
    whole: Profile
    settings: CheckSettings
    data: DataSettings

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def declared(self) -> bool:
        """Whether the recipe gives its type: then the user has thought about it."""
        return self.name in self.data.columns

    @property
    def filled(self) -> int:
        """Cells with a value."""
        return self.profile.rows - self.profile.missing

    @property
    def drop(self) -> str:
        """The recipe's drop list with this column, as TOML."""
        return toml_list([*self.data.drop, self.name])


def look(case: Case) -> tuple[str, list[Finding]]:
    """Why the column is left out ("" when it stays), and what there is to say of it."""
    for question in (_nested, _empty, _mostly_missing, _date, _text, _constant, _identifier):
        found = question(case)
        if found is not None:
            return found.what, [found, *_unfit(case)]
    return "", [*(found for question in REMARKS if (found := question(case)) is not None), *_unfit(case)]


def _nested(case: Case) -> Finding | None:
    if case.column.kind != "other":
        return None
    word, sql = inside(case.column.stored, sql_of(case.column))
    line = derive_line(plain_name(case.name, word), sql)
    return finding("info", "check.nested", case.name, stored=case.column.stored, lines=line)


def _empty(case: Case) -> Finding | None:
    if case.filled or case.profile.infinite:
        return None
    return finding("info", "check.empty-column", case.name, rows=case.profile.rows, drop=case.drop)


def _mostly_missing(case: Case) -> Finding | None:
    missing, rows = case.profile.missing, case.profile.rows
    if missing <= case.settings.max_missing * rows:
        return None
    return finding(
        "warning",
        "check.mostly-missing",
        case.name,
        rows=missing,
        all=rows,
        rows_share=missing / rows,
        limit=case.settings.max_missing,
        drop=case.drop,
    )


def _date(case: Case) -> Finding | None:
    if case.column.kind != "date":
        return None
    lines = date_lines(case.name, case.profile, sql_of(case.column))
    return finding("info", "check.date", case.name, minimum=day(case.profile.minimum), maximum=day(case.profile.maximum), lines=lines)


def _text(case: Case) -> Finding | None:
    if case.column.kind != "text" and (case.column.kind != "category" or case.declared):
        return None
    profile, filled = case.profile, case.filled
    if profile.date_text >= MOSTLY * filled:
        examples = [top.value for top in profile.top]
        return finding(
            "warning",
            "check.date-as-text",
            case.name,
            rows=profile.date_text,
            all=filled,
            some=some(examples, 3),
            lines=parse_lines(case.name, examples, sql_of(case.column)),
        )
    if profile.numeric_text >= MOSTLY * filled and (case.column.kind == "text" or _amounts(case)):
        return _number_as_text(case)
    if case.column.kind != "text":
        return None
    identifier = None if case.declared else _identifier(case)
    return identifier or finding("info", "check.free-text", case.name, distinct=profile.distinct, longest=profile.longest)


def _amounts(case: Case) -> bool:
    """Whether nearly all different texts are amounts, such as 1.234,5 or $7.50, and not the digits of a number that names the row."""
    digits = all(re.fullmatch(r"\s*\d+\s*", top.value) for top in case.profile.top)
    return case.filled >= 20 and not digits and not ID_NAME.search(case.name) and looks_like_id(case.name, case.profile)


def _constant(case: Case) -> Finding | None:
    if case.profile.distinct != 1 or case.profile.missing or case.profile.infinite:
        return None
    value = case.profile.top[0].value if case.profile.top else number_text(case.profile.minimum or 0.0)
    return finding("info", "check.constant", case.name, value=toml_text(value), rows=case.profile.rows, drop=case.drop)


def _identifier(case: Case) -> Finding | None:
    profile, filled = case.profile, case.filled
    if case.declared or filled < ID_ROWS or not looks_like_id(case.name, profile):
        return None
    kind = "number" if profile.kind == "number" else "category"
    return finding(
        "warning",
        "check.id",
        case.name,
        distinct=profile.distinct,
        all=profile.rows,
        more="@increasing" if profile.increasing else "",
        kind=kind,
    )


def looks_like_id(name: str, profile: ColumnProfile) -> bool:
    """Whether the values name rows.

    Texts are nearly all different; whole numbers all different, and in order, without gaps, or under a name that says so.
    """
    filled = profile.rows - profile.missing
    if not filled:
        return False
    if profile.kind in ("category", "text"):
        return profile.distinct >= 0.95 * filled
    if profile.kind != "number" or not profile.integer or profile.distinct < 0.98 * filled:
        return False
    span = (profile.maximum or 0.0) - (profile.minimum or 0.0) + 1
    return profile.increasing or span <= 1.1 * filled or bool(ID_NAME.search(name))


def _leak(case: Case) -> Finding | None:
    profile = case.profile
    if profile.auc is None or profile.auc < case.settings.leak_auc:
        return None
    more = _purest(case.whole, profile.top)
    small = min((rows for _, rows in case.whole.labels), default=0)
    alike = len(case.whole.labels) == 2 or (profile.accuracy or 0.0) >= 0.99
    if profile.auc >= PERFECT and alike and small >= PERFECT_ROWS:
        allow = toml_list([*case.settings.allow, "check.leak-perfect"])
        return finding("blocker", "check.leak-perfect", case.name, area=profile.auc, more=more, drop=case.drop, allow=allow)
    return finding("warning", "check.leak", case.name, area=profile.auc, limit=case.settings.leak_auc, more=more, drop=case.drop)


def _purest(whole: Profile, top: tuple[TopValue, ...]) -> str:
    """The three commonest values with the class that most of their rows have."""
    texts = []
    for value in top[:3]:
        if value.by_class and sum(value.by_class):
            best = max(range(len(value.by_class)), key=lambda place: value.by_class[place])
            texts.append(f"{value.value} → {whole.labels[best][0]} {100 * value.by_class[best] / sum(value.by_class):.4g} %")
    return f"; {', '.join(texts)}" if texts else ""


def _high_cardinality(case: Case) -> Finding | None:
    if case.column.kind != "category" or case.profile.distinct <= case.settings.max_categories:
        return None
    return finding(
        "warning",
        "check.high-cardinality",
        case.name,
        distinct=case.profile.distinct,
        all=case.profile.rows,
        most=case.settings.max_categories,
        drop=case.drop,
    )


def _infinite(case: Case) -> Finding | None:
    if not case.profile.infinite:
        return None
    cell = sql_of(case.column)
    line = derive_line(plain_name(case.name, "finite"), f"CASE WHEN isfinite({cell}) THEN {cell} END")
    return finding("warning", "check.infinite", case.name, rows=case.profile.infinite, all=case.profile.rows, lines=line)


def _text_in_numbers(case: Case) -> Finding | None:
    profile = case.profile
    if not profile.not_numeric or case.column.kind != "number":
        return None
    examples = some((f"{text} (row {row})" for row, text in profile.not_numeric_examples), 3)
    words = list(dict.fromkeys(text for _, text in profile.not_numeric_examples))[:3]
    return finding(
        "warning",
        "check.text-in-numbers",
        case.name,
        rows=profile.not_numeric,
        all=profile.rows,
        some=examples,
        words=toml_list([*case.data.missing, *words]),
    )


def _unfit(case: Case) -> list[Finding]:
    """Cells of a date or boolean column that are neither."""
    profile, kind = case.profile, case.column.kind
    if not profile.not_numeric or kind not in ("date", "boolean"):
        return []
    examples = some((f"{text} (row {row})" for row, text in profile.not_numeric_examples), 3)
    return [finding("warning", "check.cells-unfit", case.name, rows=profile.not_numeric, all=profile.rows, some=examples, kind=f"@{kind}")]


def _number_as_text(case: Case) -> Finding | None:
    """Numbers behind a currency sign, a decimal comma or a few words."""
    profile = case.profile
    if case.declared or case.column.kind not in ("category", "text") or profile.numeric_text < MOSTLY * case.filled or case.filled < 20:
        return None
    examples = [top.value for top in profile.top]
    numbers = [text for text in examples if re.search(r"\d", text)]
    others = [text for text in examples if not re.search(r"\d", text)]
    return finding(
        "warning",
        "check.number-as-text",
        case.name,
        rows=profile.numeric_text,
        all=case.filled,
        some=some(numbers, 3),
        others=some(others, 3) or "-",
        lines=number_line(case.name, case.column.stored, numbers, sql_of(case.column)),
    )


def missing_words(column: Column, profile: ColumnProfile) -> list[TopValue]:
    """Values of a category that seem to stand for a missing cell."""
    if column.kind != "category" or len(profile.top) < 3:
        return []
    return [top for top in profile.top if top.value.strip().lower() in MISSING_WORDS]


def _code_as_number(case: Case) -> Finding | None:
    profile = case.profile
    if case.declared or profile.kind != "number" or not profile.integer or profile.distinct < 8 or not CODE_NAME.search(case.name):
        return None
    return finding(
        "info",
        "check.code-as-number",
        case.name,
        distinct=profile.distinct,
        minimum=number_text(profile.minimum or 0.0),
        maximum=number_text(profile.maximum or 0.0),
    )


REMARKS = (_leak, _number_as_text, _text_in_numbers, _infinite, _high_cardinality, _code_as_number)
