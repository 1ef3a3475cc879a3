"""The whole table: rows that repeat or contradict each other, keys, time, weights, values that settle the label."""

from filon.check.columns import missing_words
from filon.check.label import profile_of
from filon.check.records import Finding
from filon.check.wording import REASON, derive_line, finding, not_missing, plain_name, sql_of, toml_list, toml_text
from filon.engines.base import Column, Profile, Source
from filon.engines.profiling.numbers import number_text
from filon.errors import some
from filon.read.settings import DataSettings

TELLING_SHARE = 0.99
TELLING_ROWS = 30
TELLING_PART = 0.002
"""A value that settles the label is worth a word from this many rows, and this share of all, on."""


def rows(profile: Profile) -> list[Finding]:
    """Duplicates and contradictions."""
    labelled = profile.rows - profile.label_missing
    found = []
    if profile.duplicates:
        share = profile.duplicates / labelled
        found.append(
            finding("warning" if share > 0.2 else "info", "check.duplicate-rows", rows=profile.duplicates, all=labelled, rows_share=share)
        )
    if profile.conflicts:
        share = profile.conflicts / labelled
        found.append(
            finding("warning" if share > 0.02 else "info", "check.conflicting-rows", rows=profile.conflicts, all=labelled, rows_share=share)
        )
    return found


def subjects(source: Source, profile: Profile, data: DataSettings) -> list[Finding]:
    """Key, time and weight columns."""
    found: list[Finding] = []
    for name in source.names("key"):
        column = profile_of(profile, name)
        if column.missing:
            found.append(finding("warning", "check.key-missing", name, rows=column.missing, all=column.rows, where=not_missing(name)))
        if column.distinct >= column.rows - column.missing > 1:
            found.append(finding("warning", "check.key-unique", name, distinct=column.distinct, all=column.rows))
    found += _time(source, profile, data)
    for name in source.names("weight"):
        column = profile_of(profile, name)
        if column.kind not in ("number", "boolean"):
            found.append(finding("blocker", "check.weight-unusable", name, some=f"{REASON}no-numbers"))
        elif column.minimum is not None and column.minimum < 0:
            found.append(finding("blocker", "check.weight-unusable", name, some=f"min {number_text(column.minimum)}"))
        elif column.missing:
            found.append(finding("warning", "check.weight-missing", name, rows=column.missing, all=column.rows, where=not_missing(name)))
    return found


def _time(source: Source, profile: Profile, data: DataSettings) -> list[Finding]:
    name = data.time
    if name is None or not any(column.name == name for column in source.columns):
        return []
    column = profile_of(profile, name)
    if column.kind not in ("date", "number"):
        derived = plain_name(name, "date")
        line = derive_line(derived, f"TRY_CAST({sql_of(next(one for one in source.columns if one.name == name))} AS TIMESTAMP)")
        return [finding("blocker", "check.time-unusable", name, kind=column.kind, lines=line, derived=toml_text(derived))]
    return (
        [finding("warning", "check.time-missing", name, rows=column.missing, all=column.rows, where=not_missing(name))]
        if column.missing
        else []
    )


def telling_values(features: list[Column], profile: Profile, already: set[str]) -> list[tuple[int, str, str]]:
    """Values whose rows nearly all have one class that is not the commonest one: rows, column and what to say, most rows first.

    Columns `already` pointed at are passed over.
    """
    usual = {text: count / max(1, profile.rows - profile.label_missing) for text, count in profile.labels}
    least = max(TELLING_ROWS, TELLING_PART * profile.rows)
    pointed: list[tuple[int, str, str]] = []
    for feature in features:
        tops = [] if feature.name in already else profile_of(profile, feature.name).top
        for top in tops:
            labelled = sum(top.by_class)
            if top.rows < least or not labelled:
                continue
            most = max(top.by_class)
            text, share = profile.labels[top.by_class.index(most)][0], most / labelled
            if share >= TELLING_SHARE and usual[text] <= 0.5:
                pointed.append((top.rows, feature.name, f"{feature.name} = {top.value} → {text} ({100 * share:.4g} % of {top.rows})"))
    return sorted(pointed, key=lambda one: (-one[0], one[1]))


def telling(features: list[Column], profile: Profile, data: DataSettings, already: set[str]) -> list[Finding]:
    """One finding for all values that settle the label."""
    pointed = telling_values(features, profile, already)
    if not pointed:
        return []
    names = list(dict.fromkeys(name for _, name, _ in pointed))[:5]
    return [finding("info", "check.telling-value", some=some(text for _, _, text in pointed), drop=toml_list([*data.drop, *names]))]


def missing(features: list[Column], profile: Profile, data: DataSettings) -> list[Finding]:
    """Words that seem to stand for missing cells, of all columns in one finding."""
    found = [(top, feature.name) for feature in features for top in missing_words(feature, profile_of(profile, feature.name))]
    if not found:
        return []
    found.sort(key=lambda pair: -pair[0].rows)
    words = toml_list(dict.fromkeys([*data.missing, *(top.value for top, _ in found)]))
    return [finding("info", "check.missing-words", some=some(f"{name} = {top.value} ({top.rows})" for top, name in found), words=words)]


def features(source: Source, profile: Profile) -> list[Finding]:
    """Whether anything is left to learn from."""
    left = source.names("feature")
    labelled = profile.rows - profile.label_missing
    if not left:
        out = [f"{column.name} ({column.why or column.role})" for column in source.columns if column.role != "label"]
        return [finding("blocker", "check.no-features", some=some(out) or f"{REASON}label-alone")]
    if len(left) > labelled > 0:
        return [finding("warning", "check.more-features-than-rows", features=len(left), rows=labelled)]
    return []
