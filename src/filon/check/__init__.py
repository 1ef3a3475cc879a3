"""Does this table deserve a model? Findings, and the roles of the columns."""

import dataclasses

from filon.check import columns, label, table
from filon.check.records import LEVELS, Checked, Finding
from filon.check.settings import CheckSettings
from filon.check.wording import grouped
from filon.engines.base import Column, Profile, Source
from filon.errors import DataError
from filon.read.settings import DataSettings

__all__ = ["Checked", "Finding", "check"]

HARD = (
    "check.classes-absent",
    "check.label-empty",
    "check.label-unusable",
    "check.no-features",
    "check.one-class",
    "check.positive-of-many",
    "check.positive-unknown",
    "check.time-unusable",
    "check.weight-unusable",
)
"""Blockers that `check.allow` cannot let through: there is nothing a training could do."""

EACH = 10
"""Columns that get a finding of their own under one code; further ones share one."""


def check(profile: Profile, source: Source, settings: CheckSettings, data: DataSettings) -> Checked:
    """Settle the roles of the columns and the classes of the label, and say everything the user should know.

    Parameters
    ----------
    profile : of all rows, as the engine made it
    source : of the table that was profiled, roles as `read` gives them

    Raises
    ------
    DataError : `read.no-rows` when data.where leaves none
    """
    if data.where and not profile.rows:
        raise DataError(
            "read.no-rows",
            "data.where leaves no row",
            f"{data.where!r} holds in none of {source.origin}",
            "correct data.where in the recipe",
        )
    label_column = next(column for column in source.columns if column.role == "label")
    plan, found = label.look(label_column, profile, data, settings)
    found += table.rows(profile)
    settled: list[Column] = []
    per_column: list[Finding] = []
    for column in source.columns:
        if column.role not in ("feature", "left-out"):
            settled.append(column)
            continue
        case = columns.Case(column=column, profile=label.profile_of(profile, column.name), whole=profile, settings=settings, data=data)
        why, said = columns.look(case)
        per_column += said
        settled.append(dataclasses.replace(column, role="left-out", why=why) if why else column)  # `read` has left some out by their kind
    source = dataclasses.replace(source, columns=tuple(settled))
    leaks = {one.column for one in per_column if one.code in ("check.leak", "check.leak-perfect")}
    found += table.subjects(source, profile, data)
    features = [column for column in settled if column.role == "feature"]
    found += table.telling(features, profile, data, leaks)
    found += table.missing(features, profile, data)
    found += table.features(source, profile)
    found += _bounded(per_column)
    found = [_allowed(one, settings.allow) for one in found]
    found.sort(key=lambda one: LEVELS.index(one.level))
    return Checked(source=source, label=plan, profile=profile, findings=tuple(found))


def _allowed(one: Finding, allow: tuple[str, ...]) -> Finding:
    if one.level == "blocker" and one.code in allow and one.code not in HARD:
        return dataclasses.replace(one, level="warning")
    return one


def _bounded(found: list[Finding]) -> list[Finding]:
    """At most ten findings of a code by column, then one for the rest: three thousand constant columns are one thing to know."""
    kept: list[Finding] = []
    for code in dict.fromkeys(one.code for one in found):
        same = [one for one in found if one.code == code]
        kept += same[:EACH]
        if len(same) > EACH:
            kept.append(grouped(same[0].level, code, (one.column for one in same[EACH:])))
    return kept
