"""The page of two runs on the same rows, in English or Spanish."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filon.engines import tally
from filon.evaluate import curves
from filon.evaluate.cells import Sweep, cells_of, group, sweep
from filon.evaluate.metrics import better
from filon.files import write_atomic
from filon.package import Bundle
from filon.pages import Lang, Numbers, Words, render
from filon.pages.drawing import DASHES, Drawing, Line, Span, legend_of
from filon.registry.paired import Answers, Difference, Paired
from filon.registry.rows import Exhibit
from filon.versions import versions

CURVES = 4
"""Classes whose curves are drawn, those with most rows first."""

CELLS = 1 << 14
SECTIONS = ("metrics", "curves", "decisions", "settings", "facts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two runs."""

    run: str
    bundle: Bundle
    manifest: Mapping[str, Any]
    tested: Mapping[str, Any]
    answers: Answers


def write(path: Path, left: Side, right: Side, exhibit: Exhibit, paired: Paired, metric: str, lang: Lang) -> Path:
    """Write the page; its path.

    Raises
    ------
    SetupError : `run.not-writable`, `run.disk-full`
    """
    write_atomic(path, _Page((left, right), exhibit, paired, metric, lang).text())
    return path


class _Page:
    def __init__(self, sides: tuple[Side, Side], exhibit: Exhibit, paired: Paired, metric: str, lang: Lang) -> None:
        self.sides, self.exhibit, self.paired, self.metric, self.lang = sides, exhibit, paired, metric, lang
        self.words, self.named, self.numbers = Words(lang, "compare"), Words(lang, "report"), Numbers(lang)
        self.confidence = self.numbers.percent(paired.confidence, 0)

    def text(self) -> str:
        settings = list(self._settings())
        lines = [self._line(name, one) for name, one in self.paired.metrics.items() if one.left is not None or one.right is not None]
        spans = [line["span"] for line in lines if line["span"]]
        most = max((abs(end) for span in spans for end in (span.low, span.high)), default=0.01) or 0.01
        return render(
            "compare.html.j2",
            self.lang,
            page="compare",
            version=versions()["filon"],
            sections=[(name, self.words(f"section.{name}")) for name in SECTIONS],
            sides=[{"name": side.run.rpartition("/")[2]} for side in self.sides],
            told=self._told(),
            verdict=self._verdict(),
            tiles=self._tiles(),
            confidence=self.confidence,
            lines=lines,
            bounds=(-most, most),
            curves=[(drawing, legend_of(drawing)) for drawing in self._curves()],
            mcnemar=self.paired.mcnemar,
            p=self.numbers.significant(self.paired.mcnemar.p, 2),
            differing=[line for line in settings if line[1] != line[2]],
            alike=[line for line in settings if line[1] == line[2]],
            facts=list(self._facts()),
        )

    def _told(self) -> str:
        one = self.exhibit
        names = [name.rpartition("/")[2] if one.kind == "test-folds" else name for name in one.names]
        told = self.words(f"rows.{one.kind}", first=names[0], second=names[-1])
        return f"{told} ({self.words('rows.sampled')})" if one.sampled else told

    def _bounds(self, one: Difference) -> dict[str, str]:
        return {"low": self.numbers.signed(one.lower, 4), "high": self.numbers.signed(one.upper, 4)}

    def _verdict(self) -> str:
        one = self.paired.metrics[self.metric]
        name = self.named(f"metric.{self.metric}")
        if one.value is None or one.lower is None or one.upper is None:
            return self.words("verdict.undefined", metric=name)
        sign = 1 if better(self.metric) == "higher" else -1
        word = (
            "better" if min(sign * one.lower, sign * one.upper) > 0 else "worse" if max(sign * one.lower, sign * one.upper) < 0 else "same"
        )
        value = self.numbers.signed(one.value, 4)
        return self.words(f"verdict.{word}", metric=name, value=value, confidence=self.confidence, **self._bounds(one))

    def _tiles(self) -> list[tuple[str, str, str, bool]]:
        n, t, one = self.numbers, self.words, self.paired.metrics[self.metric]
        name, test = self.named(f"metric.{self.metric}"), self.paired.mcnemar
        both = f"{n.number(one.left, 4)} → {n.number(one.right, 4)}"
        interval = t("tile.interval", confidence=self.confidence, **self._bounds(one)) if one.lower is not None else ""
        told = t("tile.mcnemar_more", left=n.integer(test.only_left), right=n.integer(test.only_right))
        return [
            (name, both, "", True),
            (t("tile.difference"), n.signed(one.value, 4), interval, False),
            (t("tile.mcnemar"), f"p = {n.significant(test.p, 2)}", told, False),
            (t("tile.rows"), n.integer(self.paired.rows), self._told(), False),
        ]

    def _line(self, name: str, one: Difference) -> dict[str, Any]:
        span = None
        if one.value is not None and one.lower is not None and one.upper is not None:
            title = self.words("metrics.alt", value=self.numbers.signed(one.value, 4), **self._bounds(one))
            span = Span(name=name, value=one.value, low=min(one.lower, one.value), high=max(one.upper, one.value), title=title)
        marked = one.lower is not None and one.upper is not None and (one.lower > 0 or one.upper < 0)
        title = self.named(f"metric.{name}")
        shown = {"left": one.left, "right": one.right, "value": one.value, "span": span}
        return {"name": title, "lower": better(name) == "lower", "marked": marked, "chosen": name == self.metric, **shown}

    def _curves(self) -> Iterator[Drawing]:
        classes = self.sides[0].bundle.classes
        swept = [self._sweeps(side.answers, classes) for side in self.sides]
        two = len(classes) == 2
        counts = np.bincount(self.exhibit.label, minlength=len(classes))
        chosen = [0] if two else sorted(np.argsort(-counts, kind="stable")[:CURVES].tolist())
        for number in chosen:
            pair = (swept[0][number], swept[1][number])
            if float(pair[0].positives[0]) and float(pair[0].negatives[0]):
                yield from self._pair(pair, classes[1] if two else classes[number])

    def _sweeps(self, answers: Answers, classes: tuple[str, ...]) -> list[Sweep]:
        counted = tally.count(answers.probability, self.exhibit.label.astype(np.int32), classes, self.exhibit.weight)
        return [sweep(group(cells_of(curve), CELLS)) for curve in counted.curves]

    def _pair(self, pair: tuple[Sweep, Sweep], name: str) -> Iterator[Drawing]:
        t, n = self.words, self.numbers
        for kind, points, axes in (
            ("roc", curves.roc_points, (t("curve.fpr"), t("curve.tpr"))),
            ("pr", curves.pr_points, (t("curve.recall"), t("curve.precision"))),
        ):
            lines = []
            for number, (side, swept) in enumerate(zip(self.sides, pair, strict=True)):
                found = points(swept)
                word = t("left" if number == 0 else "right")
                lines.append(
                    Line(name=f"{word}: {side.run.rpartition('/')[2]}", x=found.x, y=found.y, colour=number, dash=DASHES[1 - number])
                )
            area = "areaUnderROC" if kind == "roc" else "areaUnderPR"
            one = self.paired.metrics[area]
            yield Drawing(
                name=t(f"curve.{kind}_alt", left=n.number(one.left, 4), right=n.number(one.right, 4)),
                title=t("curve.of", title=t(f"curve.{kind}"), name=name),
                x_name=axes[0],
                y_name=axes[1],
                lines=lines,
                x=(0, 1),
                y=(0, 1),
                guides=(((0.0, 0.0), (1.0, 1.0)),) if kind == "roc" else (),
            )

    def _settings(self) -> Iterator[tuple[str, str, str]]:
        """The model's own facts, then everything the two recipes say."""
        t, n = self.words, self.numbers
        left, right = (side.bundle for side in self.sides)
        yield t("settings.family"), left.ensemble.family, right.ensemble.family
        yield t("settings.threshold"), n.number(left.threshold, 4), n.number(right.threshold, 4)
        yield t("settings.features"), *_apart(left.encoding.names, right.encoding.names)
        flat = [dict(_flat(side.manifest.get("recipe", {}))) for side in self.sides]
        for name in sorted({*flat[0], *flat[1]}):
            yield name, flat[0].get(name, "–"), flat[1].get(name, "–")

    def _facts(self) -> Iterator[tuple[str, str, str]]:
        def of(side: Side) -> dict[str, str]:
            manifest = side.manifest
            folds = manifest.get("folds", {})
            return {
                "run": side.run,
                "version": side.bundle.version,
                "created": str(manifest.get("created_at", "")),
                "engine": str(manifest.get("engine", "")),
                "rows": self.numbers.integer(folds.get("train", {}).get("rows")),
                "source": str(manifest.get("source", {}).get("origin", "")),
                "digest": str(folds.get("test", {}).get("digest", "")),
                "openings": str(len(manifest.get("openings", ()))),
            }

        left, right = (of(side) for side in self.sides)
        for name, value in left.items():
            yield self.words(f"facts.{name}"), value, right[name]


def _apart(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, str]:
    """Two lists of names: their counts, and the names that only one has."""

    def told(own: tuple[str, ...], other: tuple[str, ...]) -> str:
        only = [name for name in own if name not in other]
        return f"{len(own)}" + (f" (+ {', '.join(only[:20])})" if only else "")

    return told(left, right), told(right, left)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if key in {"places", "track"} and not prefix:
            continue
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item if isinstance(item, str) else ", ".join(map(str, item)) if isinstance(item, list) else str(item)
