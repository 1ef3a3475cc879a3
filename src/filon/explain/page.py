"""explain.html: what matters, how answers move with it, and the reasons of some rows, in one file that opens offline."""

from __future__ import annotations

from typing import Any

from filon.evaluate import Effect, Importance
from filon.explain.records import Dependence, Explained, RowReasons
from filon.pages import Lang, Numbers, Words, render
from filon.pages.drawing import DASHES, Bar, Drawing, Line, Span
from filon.versions import versions

BARS = 20
"""Features in the chart of importance; explain.json has every one."""


def page(explained: Explained, lang: Lang) -> str:
    """The page as text."""
    words, numbers = Words(lang, "explain"), Numbers(lang)
    view = _View(explained, words, numbers)
    top = explained.importances[0].feature if explained.importances else "–"
    return render(
        "explain.html.j2",
        lang,
        page="explain",
        version=versions()["filon"],
        explained=explained,
        verdict=words("verdict", top=top, rows=numbers.integer(explained.rows)),
        tiles=view.tiles(),
        bars=view.bars(),
        scale=words(f"scale.{explained.scale}"),
        effects=[(one.feature, view.effect(one)) for one in explained.importances if one.effects],
        dependences=[(one.feature, view.dependence(one)) for one in explained.dependences],
        rows=[view.row(one) for one in explained.shown],
        undrawn=max(0, len(explained.importances) - BARS),
        sections=[(key, words(f"sections.{key}")) for key in ("importance", "dependence", "rows", "method")],
    )


class _View:
    """What the template shows, in one language."""

    def __init__(self, explained: Explained, words: Words, numbers: Numbers) -> None:
        self.explained, self.words, self.numbers = explained, words, numbers

    def tiles(self) -> list[tuple[str, str, str]]:
        """The figures at the top."""
        explained, t, n = self.explained, self.words, self.numbers
        used = sum(bool(one.shap) for one in explained.importances)
        total = sum(one.shap or 0.0 for one in explained.importances) or 1.0
        first = sum(one.shap or 0.0 for one in explained.importances[:3]) / total
        return [
            (t("tiles.rows"), n.integer(explained.rows), explained.source),
            (t("tiles.features"), n.integer(used), t("tiles.features_more", n=n.integer(len(explained.importances)))),
            (t("tiles.three"), n.percent(first), ", ".join(one.feature for one in explained.importances[:3])),
            (
                t("tiles.bias"),
                n.signed(explained.bias[0], 2) if len(explained.bias) == 1 else "–",
                f"{explained.family} · {t(f'scale.{explained.scale}')}",
            ),
        ]

    def bars(self) -> list[Bar]:
        """Mean contributions of the strongest features."""
        return [
            Bar(name=one.feature, values=[one.shap or 0.0], texts=[self.numbers.significant(one.shap)])
            for one in self.explained.importances[:BARS]
        ]

    def effect(self, one: Importance) -> list[Span]:
        """Contributions of like values, with their middle 80 %."""
        return [
            Span(
                name=self._group(effect),
                value=effect.shap,
                low=effect.shap_low,
                high=effect.shap_high,
                title=self.words(
                    "effect", group=self._group(effect), rows=self.numbers.integer(effect.rows), value=self.numbers.signed(effect.shap)
                ),
            )
            for effect in one.effects
        ]

    def _group(self, effect: Effect) -> str:
        n = self.numbers
        if effect.name or effect.missing:
            return effect.name or self.words("missing")
        low, high = n.significant(effect.low), n.significant(effect.high)
        return low if low == high else f"{low} – {high}"

    def dependence(self, one: Dependence) -> dict[str, Any]:
        """Lines over a number, or spans by category; the answer to a missing value stands aside."""
        t = self.words
        missing = [self.numbers.percent(curve[-1]) for curve in one.mean] if one.values[-1] is None else []
        if any(one.names):
            names = [name or t("missing") for name in one.names]
            shown = zip(names, one.mean[0], one.low[0], one.high[0], strict=True)
            spans = [
                Span(name=name, value=mean, low=low, high=high, title=f"{name}: {self.numbers.percent(mean)}")
                for name, mean, low, high in shown
            ]
            return {"spans": spans, "drawing": None, "missing": [], "class": one.classes[0]}
        end = len(one.values) - bool(missing)
        x = [value for value in one.values if value is not None]
        many = len(one.classes) > 1
        lines = [
            Line(
                name=name if many else "",
                x=x,
                y=one.mean[place][:end],
                low=() if many else one.low[place][:end],
                high=() if many else one.high[place][:end],
                colour=place if many else 1,
                dash=DASHES[place] if many else "",
                dots=True,
                titles=[self.numbers.percent(value) for value in one.mean[place][:end]],
            )
            for place, name in enumerate(one.classes)
        ]
        drawing = Drawing(
            name=t("dependence.alt", name=one.feature),
            title=one.feature,
            x_name=one.feature,
            y_name=t("dependence.axis") if many else t("dependence.axis_of", name=one.classes[0]),
            lines=lines,
            x_format="number",
        )
        return {"spans": [], "drawing": drawing, "missing": missing if not many else [], "class": one.classes[0], "many": many}

    def row(self, one: RowReasons) -> dict[str, Any]:
        """One row with its bars: each reason's place and length on an axis that all its reasons share."""
        n = self.numbers
        most = max([abs(value) for _, _, value in one.reasons] + [abs(one.rest)], default=1.0) or 1.0
        listed = [*one.reasons, *([("", "", one.rest)] if abs(one.rest) > 1e-9 else [])]
        bars = [
            {
                "name": name or self.words("rows.rest"),
                "value": n.significant(value, 6) if isinstance(value, float) else value,
                "text": n.signed(part),
                "left": 50 + min(0.0, part / most) * 50,
                "width": abs(part) / most * 50,
                "up": part > 0,
            }
            for name, value, part in listed
        ]
        why = self.words(f"rows.{one.why}")
        key = ", ".join(f"{name} {value}" for name, value in one.key.items())
        return {"why": why, "key": key, "row": one, "bars": bars, "bias": n.signed(one.bias), "margin": n.signed(one.margin)}
