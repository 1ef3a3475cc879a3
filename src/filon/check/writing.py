"""What a run keeps of the check: findings.json, profile.json and profile.html."""

from typing import Any

from filon.check.records import Checked, Finding
from filon.check.wording import translate
from filon.engines.base import ColumnProfile
from filon.pages import Lang

FORMAT = 1
"""Of findings.json and profile.json; a change of meaning raises it."""


def finding_dict(one: Finding) -> dict[str, Any]:
    """One finding as JSON holds it."""
    return {
        "level": one.level,
        "code": one.code,
        "column": one.column,
        "what": one.what,
        "evidence": one.evidence,
        "fix": one.fix,
        "facts": dict(one.facts),
    }


def findings_dict(checked: Checked) -> dict[str, Any]:
    """findings.json: blockers first, and how many there are of each level."""
    counts = {level: sum(one.level == level for one in checked.findings) for level in ("blocker", "warning", "info")}
    return {"format": FORMAT, "counts": counts, "findings": [finding_dict(one) for one in checked.findings]}


def profile_dict(checked: Checked) -> dict[str, Any]:
    """profile.json: the table, its label, and every column with its role."""
    profile = checked.profile
    by_name = {column.name: column for column in checked.source.columns}
    return {
        "format": FORMAT,
        "source": checked.source.origin,
        "rows": profile.rows,
        "label": {
            "column": checked.label.column,
            "classes": list(checked.label.classes),
            "rows": dict(profile.labels),
            "missing": profile.label_missing,
        },
        "duplicates": profile.duplicates,
        "conflicts": profile.conflicts,
        "bytes_in_memory": profile.bytes_in_memory,
        "columns": [
            {"role": by_name[column.name].role, "why": by_name[column.name].why, **_column(column)}
            for column in profile.columns
            if column.name in by_name
        ],
    }


def _column(column: ColumnProfile) -> dict[str, Any]:
    """What is known of a column; what does not apply to its kind is left out."""
    plain: dict[str, Any] = {"name": column.name, "kind": column.kind, "missing": column.missing, "distinct": column.distinct}
    for name in ("minimum", "maximum", "mean", "std", "auc", "accuracy"):
        value = getattr(column, name)
        if value is not None:
            plain[name] = value
    for name in ("infinite", "not_numeric", "numeric_text", "date_text", "longest", "integer", "increasing"):
        if getattr(column, name):
            plain[name] = getattr(column, name)
    if column.quantiles:
        plain["quantiles"] = list(column.quantiles)
    if column.not_numeric_examples:
        plain["not_numeric_examples"] = [list(pair) for pair in column.not_numeric_examples]
    if column.top:
        plain["top"] = [{"value": top.value, "rows": top.rows, "by_class": list(top.by_class)} for top in column.top]
    if column.histogram is not None:
        plain["histogram"] = {"edges": list(column.histogram.edges), "counts": [list(row) for row in column.histogram.counts]}
    return plain


def profile_page(checked: Checked, name: str, lang: Lang = "en") -> str:
    """profile.html: one file that opens offline."""
    from filon.check.page import page

    return page(checked, name, lang, [translate(one, lang) for one in checked.findings])
