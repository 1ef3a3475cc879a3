"""profile.html: every column drawn, findings in place, one file of bounded size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Any

from filon.check.dates import day
from filon.check.records import Checked, Finding
from filon.engines.base import Column, ColumnProfile, Histogram, TopValue
from filon.engines.profiling.sample import MOST_CELLS, MOST_ROWS
from filon.pages import Lang, Numbers, Words, render
from filon.pages.sketches import Bin, Sketches

MOST_CARDS = 150
"""Columns drawn: about 4 MB of page at the very most."""

MOST_LINES = 3000
"""Columns in the table of all columns; profile.json has every one."""

VALUES = 8
CLASSES = 8
"""Classes with a colour of their own; further ones share the last."""

Order = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What every part of the page needs: the words, the classes as drawn, and which counts make each of them."""

    checked: Checked
    words: Words
    numbers: Numbers
    sketches: Sketches
    groups: Sequence[Order]
    findings: Mapping[str, Sequence[Finding]]

    def drawn(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Counts by class as the profile has them, as the page draws them."""
        return tuple(sum(counts[place] for place in group if place < len(counts)) for group in self.groups)


def page(checked: Checked, name: str, lang: Lang, findings: Sequence[Finding]) -> str:
    """The page as text.

    Parameters
    ----------
    name : of the recipe
    findings : in the page's language
    """
    scene = _scene(checked, lang, findings)
    profile, words, numbers = checked.profile, scene.words, scene.numbers
    columns = {column.name: column for column in checked.source.columns}
    shown = [one for one in profile.columns if one.name in columns]
    drawn = _chosen(shown, columns, scene)
    places = {one.name: place for place, one in enumerate(shown)}
    return render(
        "profile.html.j2",
        lang,
        page="profile",
        version=_version(),
        name=name,
        source=checked.source.origin,
        verdict=_verdict(scene, findings, len(shown)),
        tiles=_tiles(scene, columns),
        findings=[(one, places.get(one.column)) for one in findings],
        label=_label(scene),
        lines=[_line(one, columns[one.name], places[one.name], one.name in drawn, scene) for one in shown[:MOST_LINES]],
        unlisted=max(0, len(shown) - MOST_LINES),
        cards=[_card(one, columns[one.name], places[one.name], scene) for one in shown if one.name in drawn],
        undrawn=len(shown) - len(drawn),
        sampled=profile.rows > MOST_ROWS or profile.rows * len(shown) > MOST_CELLS,
        usual=numbers.percent(scene.sketches.usual),
        positive=scene.sketches.classes[1] if len(scene.sketches.classes) == 2 else "",
        sections=[(key, words(f"sections.{key}")) for key in ("findings", "label", "overview", "columns")],
    )


def _version() -> str:
    try:
        return version("filon")
    except PackageNotFoundError:
        return ""


def _scene(checked: Checked, lang: Lang, findings: Sequence[Finding]) -> Scene:
    words, numbers = Words(lang, "profile"), Numbers(lang)
    texts = [text for text, _ in checked.profile.labels]
    counts = dict(checked.profile.labels)
    wanted = [text for text in checked.label.classes if text in counts] or texts
    order = [texts.index(text) for text in wanted]
    names, groups = list(wanted), [[place] for place in order]
    if len(order) > CLASSES:
        order = sorted(order)  # the most frequent ones have a colour
        names = [*(texts[place] for place in order[: CLASSES - 1]), words("label.rest", n=len(order) - CLASSES + 1)]
        groups = [*([place] for place in order[: CLASSES - 1]), order[CLASSES - 1 :]]
    usual = counts[names[1]] / max(1, sum(counts.values())) if len(names) == 2 else 0.0
    by_column: dict[str, list[Finding]] = {}
    for one in findings:
        by_column.setdefault(one.column, []).append(one)
    return Scene(checked=checked, words=words, numbers=numbers, sketches=Sketches(numbers, names, usual), groups=groups, findings=by_column)


def _chosen(shown: Sequence[ColumnProfile], columns: Mapping[str, Column], scene: Scene) -> set[str]:
    """Names of the columns to draw: the label, those with findings, those that say most alone."""

    def worth(one: ColumnProfile) -> tuple[int, int, float]:
        worst = min((("blocker", "warning", "info").index(finding.level) for finding in scene.findings.get(one.name, ())), default=3)
        return (0 if columns[one.name].role == "label" else 1, worst, -(one.auc or 0.0))

    return {one.name for one in sorted(shown, key=worth)[:MOST_CARDS]}


def _verdict(scene: Scene, findings: Sequence[Finding], columns: int) -> str:
    words, checked = scene.words, scene.checked
    counts = {level: sum(one.level == level for one in findings) for level in ("blocker", "warning")}
    if counts["blocker"]:
        said = words("verdict_stop", blockers=words.many("blockers", counts["blocker"]))
    elif counts["warning"]:
        said = words("verdict_warn", warnings=words.many("warnings", counts["warning"]))
    else:
        said = words("verdict_good")
    features = scene.numbers.integer(len(checked.source.names("feature")))
    many = words.many("columns_many", columns, shown=scene.numbers.integer(columns))
    shape = words("shape", rows=scene.numbers.integer(checked.profile.rows), columns=many, features=features, label=checked.label.column)
    return f"{said} {shape}"


def _tiles(scene: Scene, columns: Mapping[str, Column]) -> list[tuple[str, str, str]]:
    profile, words, numbers = scene.checked.profile, scene.words, scene.numbers
    features = [one for one in profile.columns if one.name in columns and columns[one.name].role == "feature"]
    cells = profile.rows * len(features)
    missing = sum(one.missing for one in features) / cells if cells else 0.0
    many = words.many("columns_many", len(columns), shown=numbers.integer(len(columns)))
    label = scene.checked.label.column
    if len(scene.sketches.classes) == 2:
        tile = (
            words("tiles.positive", name=scene.sketches.classes[1]),
            numbers.percent(scene.sketches.usual),
            words("tiles.positive_more", label=label),
        )
    else:
        tile = (words("tiles.classes"), numbers.integer(len(profile.labels)), words("tiles.classes_more", label=label))
    more = words("tiles.duplicates_more", share=numbers.percent(profile.duplicates / profile.rows if profile.rows else 0.0))
    if profile.conflicts:
        more += "; " + words("tiles.conflicts", n=numbers.integer(profile.conflicts))
    return [
        (words("tiles.rows"), numbers.integer(profile.rows), words("tiles.rows_more", size=numbers.bytes(profile.bytes_in_memory))),
        (words("tiles.features"), numbers.integer(len(features)), words("tiles.features_more", columns=many)),
        tile,
        (words("tiles.missing"), numbers.percent(missing), words("tiles.missing_more")),
        (words("tiles.duplicates"), numbers.integer(profile.duplicates), more),
    ]


def _label(scene: Scene) -> dict[str, Any]:
    profile, names = scene.checked.profile, list(scene.sketches.classes)
    counts = scene.drawn([rows for _, rows in profile.labels])
    total = sum(counts) or 1
    return {
        "name": scene.checked.label.column,
        "bar": scene.sketches.whole(counts, scene.checked.label.column),
        "classes": [(name, rows, rows / total) for name, rows in zip(names, counts, strict=True)],
        "missing": scene.numbers.integer(profile.label_missing) if profile.label_missing else "",
        "positive": names[1] if len(names) == 2 else "",
    }


def _line(one: ColumnProfile, column: Column, place: int, drawn: bool, scene: Scene) -> dict[str, Any]:
    """One line of the table of all columns."""
    levels = [finding.level for finding in scene.findings.get(one.name, ())]
    worst = next((level for level in ("blocker", "warning", "info") if level in levels), "")
    return {
        "place": place,
        "name": one.name,
        "kind": one.kind,
        "role": column.role,
        "missing": one.missing / one.rows if one.rows else 0.0,
        "distinct": one.distinct,
        "alone": one.auc,
        "worst": worst,
        "drawn": drawn,
    }


def _card(one: ColumnProfile, column: Column, place: int, scene: Scene) -> dict[str, Any]:
    """One column: its facts, drawing and findings."""
    words = scene.words
    if one.histogram is not None and not (one.top and len(one.top) <= 2):
        drawing, far = _bars(one, one.histogram, scene)
        note = words("facts.far") if any(far) else ""
    else:
        drawing, note = _values(one, scene)
    return {
        **_line(one, column, place, True, scene),
        "facts": _facts(one, scene),
        "drawing": drawing,
        "note": note,
        "findings": scene.findings.get(one.name, ()),
    }


def _facts(one: ColumnProfile, scene: Scene) -> list[str]:
    words, numbers = scene.words, scene.numbers
    facts = []
    if one.kind != "other":
        facts.append(words("facts.distinct_number", n=numbers.integer(one.distinct)))
    if one.minimum is not None and one.maximum is not None:
        facts.append(words("facts.range", low=_value(one.minimum, one, numbers), high=_value(one.maximum, one, numbers)))
        if one.quantiles and one.distinct > 2:
            facts.append(words("facts.median", median=_value(one.quantiles[3], one, numbers)))
    if one.longest and one.kind == "text":
        facts.append(words("facts.longest", n=numbers.integer(one.longest)))
    if one.not_numeric:
        facts.append(words("facts.unfit", n=numbers.integer(one.not_numeric)))
    return facts


def _value(value: float, one: ColumnProfile, numbers: Numbers) -> str:
    if one.kind == "date":
        return day(value)
    # A whole number that could be a year is written without a mark between its thousands
    return f"{value:.0f}" if one.integer and 1000 <= value < 10_000 else numbers.significant(value, 4)


def _bars(one: ColumnProfile, histogram: Histogram, scene: Scene) -> tuple[Any, tuple[bool, bool]]:
    edges, counts = histogram.edges, histogram.counts
    single = one.integer and len(counts) > 1 and all(high - low == 1 for low, high in pairwise(edges))

    def text(value: float) -> str:
        return _value(value, one, scene.numbers)

    bins = [
        Bin(name=text(low + 0.5) if single else f"{text(low)} – {text(high)}", counts=scene.drawn(row))
        for low, high, row in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    far = (False, False)
    if len(counts) > 3 and not single:
        usual = edges[2] - edges[1]
        far = (edges[1] - edges[0] > 1.5 * usual, edges[-1] - edges[-2] > 1.5 * usual)
    ticks = _ticks(edges, single, text, (0.5,) if one.kind == "date" else (0.25, 0.5, 0.75))
    return scene.sketches.bars(bins, ticks, scene.words("facts.histogram", name=one.name), far), far


def _ticks(edges: Sequence[float], single: bool, text: Any, between: Sequence[float]) -> list[tuple[float, str]]:
    """Where the axis is marked: the first and last edge, and some between (as parts of the axis)."""
    bars = len(edges) - 1
    if single:
        step = max(1, -(-bars // 6))
        return [(place + 0.5, text(edges[place] + 0.5)) for place in range(0, bars, step)]
    if bars < 4:
        return [(0.0, text(edges[0])), (float(bars), text(edges[-1]))]
    inner = sorted({round(bars * part) for part in between})
    return [(0.0, text(edges[0])), *((float(place), text(edges[place])) for place in inner), (float(bars), text(edges[-1]))]


def _values(one: ColumnProfile, scene: Scene) -> tuple[Any, str]:
    """The most frequent values, unless every value is as rare as the next."""
    words, numbers = scene.words, scene.numbers
    if not one.top or one.top[0].rows < 2:
        return "", ""
    shown: Sequence[TopValue] = one.top[:VALUES]
    bins = [Bin(name=top.value, counts=scene.drawn(top.by_class)) for top in shown]
    more = one.distinct - len(shown)
    note = ""
    if more > 0:
        rest = one.rows - one.missing - sum(top.rows for top in shown)
        note = words("facts.more_values", n=numbers.integer(more), share=numbers.percent(max(0, rest) / one.rows))
    return scene.sketches.values(bins, one.rows, words("facts.values", name=one.name)), note
