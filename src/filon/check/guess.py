"""What a recipe for an unknown table should say: label, positive class, ids, dates, leaks and what only an eye can judge."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from filon.check import check
from filon.check.columns import missing_words
from filon.check.dates import date_parts
from filon.check.label import AFFIRMATIVE, choose_positive, profile_of
from filon.check.settings import CheckSettings
from filon.check.table import telling_values
from filon.check.wording import plain_name, sql_name
from filon.engines.base import Column, ColumnProfile, Profile, Role, Source
from filon.engines.profiling.numbers import number_text
from filon.read.settings import DataSettings

LABEL_NAMES = (
    *("label", "target", "class", "y", "outcome", "response", "etiqueta", "objetivo", "clase", "resultado", "deposit", "churn", "churned"),
    *("default", "survived", "diagnosis", "fraud", "isfraud", "canceled", "cancelled", "revenue", "converted", "conversion", "clicked"),
    *(
        "attrition",
        "exited",
        "failure",
        "income",
        "status",
        "abandono",
        "fuga",
        "baja",
        "impago",
        "fraude",
        "cobertura",
        "quality",
        "calidad",
    ),
)
"""Names of columns that people predict, the surest first."""

LABEL_PARTS = (
    "label",
    "target",
    "churn",
    "fraud",
    "default",
    "cancel",
    "surviv",
    "failure",
    "etiqueta",
    "objetivo",
    "outcome",
    "class",
    "clase",
)
LATER_NAMES = re.compile(
    r"(^|[\s_.-])(duration|duracion|duración|status|estado|closed|resolved|result|resultado|final|after|exit|end)([\s_.-]|$)", re.IGNORECASE
)
"""Names of columns that tend to be filled in after the outcome."""

SUSPECT_AUC = 0.75
"""A column under such a name that also ranks the label this well is pointed at: the length of a sales call has 0.80."""

MOST_CLASSES = 20
EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A column that may be known only after the outcome.

    area : under ROC, alone; sure : it should be dropped until someone says otherwise; telling : not itself, but some of its values settle
    the label
    """

    name: str
    area: float
    sure: bool
    telling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a recipe for the table should say.

    others : columns that might be the label as well, best first
    conventional : whether the positive class has a conventional name (else it is the rarer one)
    threshold : when the label is a quantity: the derived column `label` is true where `source_label` lies above it
    suspects : columns that may be known only after the outcome; ids, dates : left out by Filon itself
    codes : whole numbers that look like categories; missing : words that look like missing cells; derive : features that dates can give
    """

    label: str
    others: tuple[str, ...]
    positive: str
    conventional: bool
    classes: tuple[tuple[str, int], ...]
    rows: int = 0
    source_label: str = ""
    threshold: str = ""
    suspects: tuple[Suspect, ...] = ()
    ids: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    derive: tuple[tuple[str, str], ...] = ()


def guess(source: Source, profile: Callable[[str], Profile], label: str = "") -> Guess:
    """Look at a table and say what its recipe should be.

    Parameters
    ----------
    source : as `read.look` gives it, every column a feature
    profile : the profile of all columns with the named column as label
    label : the column to predict when the user has said so; "" to guess it
    """
    first = label or candidates(_but_folders(source))[0]
    seen = profile(first)
    ranked = _ranked(source, seen)
    chosen = label or (ranked[0] if ranked else first)
    if chosen != first:
        seen = profile(chosen)
    others = tuple(name for name in ranked if name != chosen)[:EXAMPLES]
    return _described(source, seen, chosen, others)


def _but_folders(source: Source) -> tuple[Column, ...]:
    """The columns of the files, without those that the folders' names give (year=2024/): they stand last and are seldom asked about."""
    folders = {name for name, _value in source.files[0].partition} if source.files else set()
    return tuple(column for column in source.columns if column.name not in folders) or source.columns


def candidates(columns: tuple[Column, ...]) -> list[str]:
    """Columns in the order in which their names and places make them the label."""
    last = len(columns) - 1

    def worth(place: int) -> tuple[int, int]:
        return (-_name_worth(columns[place].name), 0 if place == last else 1 if place == 0 else 2)

    usable = [place for place, column in enumerate(columns) if column.kind in ("category", "boolean", "number")]
    return [columns[place].name for place in sorted(usable or range(len(columns)), key=worth)]


def _name_worth(name: str) -> int:
    """How much a name sounds like a label: 0 to 100.

    >>> _name_worth("Target"), _name_worth("is_canceled") > _name_worth("age")
    (99, True)
    """
    plain = re.sub(r"[\W_]+", "", name).lower()
    bare = re.sub(r"^(is|has|was|will|es|ha)(?=...)", "", plain)
    for word in (plain, bare):
        if word in LABEL_NAMES:
            return 100 - LABEL_NAMES.index(word)
    return 30 if any(part in plain for part in LABEL_PARTS) else 10 if bare != plain else 0


def _ranked(source: Source, seen: Profile) -> list[str]:
    """Columns that can be a label, best first: names, then two classes, then few, then the last or first place."""
    columns = _but_folders(source)
    last = len(columns) - 1
    found = []
    for place, column in enumerate(columns):
        profile = profile_of(seen, column.name)
        filled = profile.rows - profile.missing
        if column.kind not in ("category", "boolean", "number") or profile.distinct < 2 or not filled:
            continue
        named = _name_worth(column.name)
        few = profile.distinct <= MOST_CLASSES and (column.kind != "number" or profile.integer or profile.distinct <= 2)
        if not few and not named:
            continue
        edge = 2 if place == last else 1 if place == 0 else 0
        values = {top.value.strip().lower() for top in profile.top}
        answers = profile.distinct == 2 and bool(values & set(AFFIRMATIVE[:12]))
        worth = (
            (named if few else named // 4) + 12 * edge + (15 if profile.distinct == 2 and few else 5 if few else 0) + (6 if answers else 0)
        )
        worth -= 30 * (profile.missing > 0.02 * profile.rows)
        found.append((-worth, place, column.name))
    return [name for _, _, name in sorted(found)]


def _described(source: Source, seen: Profile, label: str, others: tuple[str, ...]) -> Guess:
    columns = tuple(replace(one, role="label" if one.name == label else _role(one)) for one in source.columns)
    settings = CheckSettings()
    checked = check(seen, replace(source, columns=columns), settings, DataSettings(source=source.origin or "-", label=label))
    column = profile_of(seen, label)
    positive, conventional = choose_positive(seen.labels) if len(seen.labels) == 2 else ("", False)
    features = [(one, profile_of(seen, one.name)) for one in checked.source.columns if one.role == "feature"]
    coded = {one.column: one.code for one in checked.findings if one.code in ("check.leak", "check.leak-perfect", "check.code-as-number")}
    leaks = [_suspect(one.name, profile, coded.get(one.name, "")) for one, profile in features]
    suspects = sorted((one for one in leaks if one is not None), key=lambda one: -one.area)
    known = {one.name for one in suspects}
    telling = dict.fromkeys(name for _, name, _ in telling_values([one for one, _ in features], seen, known))
    suspects += [Suspect(name=name, area=profile_of(seen, name).auc or 0.5, sure=False, telling=True) for name in list(telling)[:5]]
    dates = tuple(one.name for one in columns if one.kind == "date" and one.name != label)
    words = [top.value for one, profile in features for top in missing_words(one, profile)]
    found = Guess(
        label=label,
        others=others,
        positive=positive,
        conventional=conventional,
        classes=seen.labels,
        rows=seen.rows - seen.label_missing,
        suspects=tuple(suspects),
        ids=tuple(one.column for one in checked.findings if one.code == "check.id" and one.column),
        dates=dates,
        codes=tuple(name for name, code in coded.items() if code == "check.code-as-number"),
        missing=tuple(dict.fromkeys(words)),
        derive=tuple(part for name in dates for part in date_parts(name, profile_of(seen, name), sql_name(name))),
    )
    return _halved(found, column) if any(one.code == "check.label-is-number" for one in checked.findings) else found


def _role(column: Column) -> Role:
    """A column that served as label while the table was profiled is a feature, or left out by its kind."""
    return "left-out" if column.kind in ("date", "text", "other") else "feature"


def _suspect(name: str, profile: ColumnProfile, code: str) -> Suspect | None:
    area = profile.auc
    if area is None:
        return None
    later = area >= SUSPECT_AUC and LATER_NAMES.search(name) is not None
    if code not in ("check.leak", "check.leak-perfect") and not later:
        return None
    return Suspect(name=name, area=area, sure=later or code == "check.leak-perfect")


def _halved(found: Guess, column: ColumnProfile) -> Guess:
    """A quantity as label becomes two classes: above its median, and the rest."""
    middle = number_text(column.quantiles[3]) if column.quantiles else "0"
    derived = plain_name(found.label, "high")
    return replace(found, label=derived, source_label=found.label, threshold=middle, positive="true", conventional=True, classes=())
