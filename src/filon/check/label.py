"""The label: usable or not, its classes in order, which of two is the positive one."""

import difflib

from filon.check.records import Finding
from filon.check.settings import CheckSettings
from filon.check.wording import derive_line, finding, not_missing, plain_name, sql_name, sql_of, sql_text, toml_list, toml_text
from filon.engines.base import Column, ColumnProfile, LabelPlan, Profile
from filon.engines.profiling.numbers import number_text
from filon.errors import some
from filon.read.settings import DataSettings

AFFIRMATIVE = (
    *("1", "true", "yes", "y", "t", "positive", "pos", "+", "sí", "si", "s", "verdadero", "positivo"),
    *(
        "bad",
        "malignant",
        "fraud",
        "churn",
        "churned",
        "default",
        "canceled",
        "cancelled",
        "fail",
        "failed",
        "failure",
        "late",
        "abnormal",
        "sick",
        "dead",
    ),
)
"""Conventional names of the class one asks for, first wins."""

MANY_CLASSES = 50
TOO_MANY_CLASSES = 1000
RARE_ROWS = 20
"""Fewer rows of a class than this leave about three in the validation and test folds of 15 %: too few to measure."""

Value = str | bool | int | float


def look(label: Column, profile: Profile, data: DataSettings, settings: CheckSettings) -> tuple[LabelPlan, list[Finding]]:
    """The label's plan and what there is to say of it; the plan has no classes when they cannot be told."""
    column = profile_of(profile, label.name)
    empty = LabelPlan(column=label.name)
    if label.kind in ("other", "date"):
        lines = derive_line(plain_name(label.name, "class"), f"{sql_of(label)} IS NOT NULL")
        return empty, [
            finding("blocker", "check.label-unusable", label.name, kind=label.stored if label.kind == "other" else "date", lines=lines)
        ]
    if not profile.labels:
        return empty, [finding("blocker", "check.label-empty", label.name, all=profile.rows)]
    found = _missing(label.name, profile)
    quantity = _quantity(label, column, data)
    if quantity is not None:
        return empty, [*found, quantity]
    plan, said = _classes(label, profile, data)
    found += said
    if plan.classes:
        found += _sizes(plan, profile, settings)
    return plan, found


def profile_of(profile: Profile, name: str) -> ColumnProfile:
    """The profile of one column."""
    return next(column for column in profile.columns if column.name == name)


def _missing(name: str, profile: Profile) -> list[Finding]:
    missing = profile.label_missing
    if not missing:
        return []
    return [
        finding(
            "warning",
            "check.label-missing",
            name,
            rows=missing,
            all=profile.rows,
            rows_share=missing / profile.rows,
            where=not_missing(name),
        )
    ]


def _quantity(label: Column, column: ColumnProfile, data: DataSettings) -> Finding | None:
    """A blocker when the label is a number with too many values to be classes."""
    whole = column.integer and column.distinct <= 100
    if label.kind != "number" or whole or column.distinct <= 2 or data.classes or data.columns.get(label.name) == "category":
        return None
    if not column.integer and column.distinct <= 10:
        return None
    middle = number_text(column.quantiles[3]) if column.quantiles else "0"
    derived = plain_name(label.name, "high")
    return finding(
        "blocker",
        "check.label-is-number",
        label.name,
        distinct=column.distinct,
        minimum=number_text(column.minimum or 0.0),
        maximum=number_text(column.maximum or 0.0),
        lines=derive_line(derived, f"{sql_of(label)} > {middle}"),
        derived=toml_text(derived),
    )


def _classes(label: Column, profile: Profile, data: DataSettings) -> tuple[LabelPlan, list[Finding]]:
    texts = [text for text, _ in profile.labels]
    if data.classes:
        return _declared(label, profile, data, texts)
    if len(texts) == 1:
        return LabelPlan(column=label.name, classes=tuple(texts)), [
            finding("blocker", "check.one-class", label.name, value=toml_text(texts[0]), rows=profile.labels[0][1])
        ]
    found = []
    distinct = profile_of(profile, label.name).distinct
    if distinct > MANY_CLASSES:
        level = "blocker" if distinct > TOO_MANY_CLASSES else "warning"
        found.append(
            finding(
                "blocker" if level == "blocker" else "warning",
                "check.many-classes",
                label.name,
                distinct=distinct,
                all=profile.rows,
                some=some(texts),
            )
        )
    if len(texts) == 2:
        plan, said = _two(label, profile, data)
        return plan, [*found, *said]
    ordered = tuple(sorted(texts, key=_order))
    if data.positive is not None:
        found.append(_positive_of_many(label, data.positive, texts))
    return LabelPlan(column=label.name, classes=ordered if distinct <= TOO_MANY_CLASSES else ()), found


def _declared(label: Column, profile: Profile, data: DataSettings, texts: list[str]) -> tuple[LabelPlan, list[Finding]]:
    """The recipe's own classes, in its order."""
    name = label.name
    wanted = tuple(dict.fromkeys(match(value, texts) or written(value) for value in data.classes or ()))
    absent = [value for value in wanted if value not in texts]
    if absent:
        return LabelPlan(column=name), [
            finding(
                "blocker",
                "check.classes-absent",
                name,
                absent=some(absent),
                some=some(texts),
                classes=toml_list(_nearest_all(wanted, texts)),
            )
        ]
    if len(wanted) == 1:
        return LabelPlan(column=name, classes=wanted), [
            finding("blocker", "check.one-class", name, value=toml_text(wanted[0]), rows=dict(profile.labels)[wanted[0]])
        ]
    found = []
    outside = [(text, rows) for text, rows in profile.labels if text not in wanted]
    if outside:
        rows = sum(count for _, count in outside)
        found.append(
            finding(
                "warning",
                "check.class-outside",
                name,
                rows=rows,
                all=profile.rows,
                some=some(t for t, _ in outside),
                classes=toml_list([*wanted, *(t for t, _ in outside)]),
            )
        )
    if data.positive is not None and len(wanted) > 2:
        found.append(_positive_of_many(label, data.positive, list(wanted)))
    elif data.positive is not None:
        positive = match(data.positive, list(wanted))
        if positive is None:
            return LabelPlan(column=name), [*found, _positive_unknown(name, data.positive, list(wanted), profile)]
        wanted = (*(value for value in wanted if value != positive), positive)
    return LabelPlan(column=name, classes=wanted), found


def _two(label: Column, profile: Profile, data: DataSettings) -> tuple[LabelPlan, list[Finding]]:
    """Two classes, the positive one last."""
    texts = [text for text, _ in profile.labels]
    if data.positive is not None:
        positive = match(data.positive, texts)
        if positive is None:
            return LabelPlan(column=label.name), [_positive_unknown(label.name, data.positive, texts, profile)]
        return _plan(label, texts, positive), []
    positive, conventional = choose_positive(profile.labels)
    why = "@conventional" if conventional else "@rarer"
    return _plan(label, texts, positive), [
        finding("info", "check.positive-chosen", label.name, value=toml_text(positive), why=why, positive=toml_text(positive))
    ]


def choose_positive(labels: tuple[tuple[str, int], ...]) -> tuple[str, bool]:
    """The class of two that one asks for, and whether its name says so (else it is the rarer one).

    >>> choose_positive((("no", 90), ("yes", 10)))
    ('yes', True)
    """
    texts = [text for text, _ in labels]
    for word in AFFIRMATIVE:
        named = [text for text in texts if text.strip().lower() == word]
        if len(named) == 1:
            return named[0], True
    return min(labels, key=lambda pair: (pair[1], pair[0]))[0], False


def _plan(label: Column, texts: list[str], positive: str) -> LabelPlan:
    return LabelPlan(column=label.name, classes=(*(text for text in texts if text != positive), positive))


def _positive_unknown(name: str, value: Value, texts: list[str], profile: Profile) -> Finding:
    likely, _ = choose_positive(tuple(pair for pair in profile.labels if pair[0] in texts) or profile.labels)
    near = _nearest_all([written(value)], [*texts, likely])  # the last one where none is near
    return finding("blocker", "check.positive-unknown", name, value=toml_text(str(value)), some=some(texts), positive=toml_text(near[0]))


def _positive_of_many(label: Column, value: Value, texts: list[str]) -> Finding:
    derived = plain_name(label.name, "is_" + written(value))
    line = derive_line(derived, f"{sql_of(label)} = {sql_text(written(value))}")
    return finding(
        "blocker", "check.positive-of-many", label.name, distinct=len(texts), some=some(texts), lines=line, derived=toml_text(derived)
    )


def _sizes(plan: LabelPlan, profile: Profile, settings: CheckSettings) -> list[Finding]:
    """Too few rows, classes too small to split, imbalance."""
    counts = {text: rows for text, rows in profile.labels if text in plan.classes}
    total = sum(counts.values())
    found = []
    if total < settings.min_rows:
        found.append(finding("blocker", "check.few-rows", rows=total, least=settings.min_rows, least_fix=str(max(1, total))))
    single = [text for text, rows in counts.items() if rows == 1]
    if single:
        where = toml_text(f"{sql_name(plan.column)} NOT IN ({', '.join(sql_text(text) for text in single[:20])})")
        found.append(finding("blocker", "check.class-single-row", plan.column, some=some(single), where=where))
    rare = [f"{text} ({rows})" for text, rows in counts.items() if 1 < rows < RARE_ROWS]
    if rare:
        found.append(finding("warning", "check.rare-class", plan.column, some=some(rare)))
    if len(counts) == 2:
        name, rows = min(counts.items(), key=lambda pair: pair[1])
        share = rows / total
        if share < 0.1 and rows >= RARE_ROWS:
            found.append(
                finding(
                    "warning" if share < 0.01 else "info",
                    "check.imbalance",
                    plan.column,
                    class_name=toml_text(name),
                    rows=rows,
                    all=total,
                    rows_share=share,
                )
            )
    return found


def written(value: Value) -> str:
    """A value of the recipe as the label's texts write it.

    >>> written(True), written(2.0), written("yes")
    ('true', '2', 'yes')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def match(value: Value, texts: list[str]) -> str | None:
    """The class meant by a value of the recipe: exact, or else the only one that differs in case, blanks or spelling of true and false.

    >>> match("TRUE", ["false", "true"]), match(1, ["0", "1"]), match("oui", ["no", "yes"])
    ('true', '1', None)
    """
    text = written(value)
    if text in texts:
        return text
    same = [one for one in texts if one.strip().lower() == text.strip().lower()]
    if len(same) == 1:
        return same[0]
    if set(texts) <= {"true", "false"}:
        words = {"yes": "true", "y": "true", "t": "true", "1": "true", "no": "false", "n": "false", "f": "false", "0": "false"}
        meant = words.get(text.strip().lower())
        return meant if meant in texts else None
    try:
        number = float(text)
    except ValueError:
        return None
    equal = [one for one in texts if _number(one) == number]
    return equal[0] if len(equal) == 1 else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _order(text: str) -> tuple[int, float, str]:
    """Numbers by value before texts."""
    number = _number(text)
    return (1, 0.0, text) if number is None or number != number else (0, number, text)


def _nearest_all(wanted: "tuple[str, ...] | list[str]", texts: list[str]) -> list[str]:
    """Each wanted class, or the nearest one there is."""
    chosen = []
    for value in wanted:
        if value in texts:
            chosen.append(value)
            continue
        near = difflib.get_close_matches(value.lower(), [text.lower() for text in texts], n=1, cutoff=0.4)
        chosen.append(next(text for text in texts if text.lower() == near[0]) if near else texts[-1])
    return list(dict.fromkeys(chosen))
