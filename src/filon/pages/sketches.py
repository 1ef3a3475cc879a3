"""Small drawings of one column each: bars by class over the share of the positive class, values as bars, classes as one bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from filon.pages.charts import colour
from filon.pages.numbers import Numbers

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH = 400
LABEL = 136
BAR = 158
STEP = 19
BARS_HEIGHT = 100
RATE_HEIGHT = 30
FEW = 12
"""Rows below which a share is drawn pale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bar: what it spans, in words, and its rows by class."""

    name: str
    counts: Sequence[float]


class Sketches:
    """Draws in one language.

    `classes` are the names of the classes in the order of all counts; with two, the second is the positive one and `usual` its share of
    all rows.
    """

    def __init__(self, numbers: Numbers, classes: Sequence[str], usual: float) -> None:
        self.numbers, self.classes, self.usual = numbers, classes, usual

    @property
    def _two(self) -> bool:
        return len(self.classes) == 2

    def bars(self, bins: Sequence[Bin], ticks: Sequence[tuple[float, str]], name: str, far: tuple[bool, bool]) -> "Markup":
        """Bars of equal width, stacked by class; below, for two classes, the share of the positive one bar by bar.

        Parameters
        ----------
        bins : in order; ticks : (place in bars, text) along the axis
        far : whether the first and the last bar reach out to far values (they are hatched then)
        """
        most = max((sum(one.counts) for one in bins), default=0) or 1
        step = WIDTH / max(1, len(bins))
        gap = 1.0 if step > 4 else 0.0
        parts = []
        for place, one in enumerate(bins):
            left, floor = place * step + gap / 2, float(BARS_HEIGHT)
            hazy = ' opacity=".5"' if (place == 0 and far[0]) or (place == len(bins) - 1 and far[1]) else ""
            drawn = ""
            for index, count in enumerate(one.counts):
                height = count / most * (BARS_HEIGHT - 4)
                if height > 0.05:
                    floor -= height
                    drawn += f'<rect x="{left:.1f}" y="{floor:.1f}" width="{step - gap:.1f}" height="{height:.1f}" fill="{colour(index)}"/>'
            if drawn:
                parts.append(f"<g{hazy}>{drawn}<title>{escape(self._title(one))}</title></g>")
        top = BARS_HEIGHT
        parts.append(f'<path class="axis" d="M0,{top}H{WIDTH}"/>')
        if self._two:
            parts.append(self._rates(bins, step, gap, top + 4))
            top += RATE_HEIGHT + 6
        parts += [_text(place * step, top + 14, text, _anchor(place, len(bins))) for place, text in ticks]
        return _svg(top + 20, name, "".join(parts))

    def _rates(self, bins: Sequence[Bin], step: float, gap: float, top: float) -> str:
        """The share of the positive class in each bar, and a line at its usual share."""
        shares = [one.counts[1] / sum(one.counts) if sum(one.counts) else 0.0 for one in bins]
        most = max(max(shares, default=0.0), self.usual * 1.25) or 1.0
        parts = []
        for place, share in enumerate(shares):
            height = share / most * RATE_HEIGHT
            if height > 0.1:
                box = (
                    f'x="{place * step + gap / 2:.1f}" y="{top + RATE_HEIGHT - height:.1f}" width="{step - gap:.1f}" height="{height:.1f}"'
                )
                sure = ".78" if sum(bins[place].counts) >= FEW else ".3"  # a share of five rows is no share
                parts.append(f'<rect {box} fill="{colour(1)}" opacity="{sure}"><title>{escape(self._title(bins[place]))}</title></rect>')
        line = top + RATE_HEIGHT - self.usual / most * RATE_HEIGHT
        parts.append(f'<path class="guide" d="M0,{line:.1f}H{WIDTH}"/><path class="axis" d="M0,{top + RATE_HEIGHT}H{WIDTH}"/>')
        return "".join(parts)

    def values(self, bins: Sequence[Bin], rows: float, name: str) -> "Markup":
        """Values one below the other: a bar by class on one scale, rows and (two classes) the share of the positive one."""
        most = max((sum(one.counts) for one in bins), default=0) or 1
        parts = []
        for place, one in enumerate(bins):
            top, left, total = place * STEP, float(LABEL), sum(one.counts)
            parts.append(_text(LABEL - 8, top + 13, _short(one.name), "end", "name", one.name))
            for index, count in enumerate(one.counts):
                width = count / most * BAR
                if width > 0.05:
                    parts.append(f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="11" fill="{colour(index)}"/>')
                    left += width
            share = self.numbers.percent(total / rows, 0 if total >= 0.095 * rows else 1) if rows else ""
            parts.append(_text(left + 5, top + 13, share, title=self._title(one)))
            if self._two and total:
                parts.append(self._share(one.counts[1] / total, top))
        return _svg(len(bins) * STEP + 4, name, "".join(parts))

    def _share(self, share: float, top: float) -> str:
        """The share of the positive class as a dot on a short scale from 0 to 1, with a mark at the usual share."""
        left, width = WIDTH - 56, 52.0
        middle = top + 9.5
        return (
            f'<path class="rule" d="M{left},{middle}h{width}"/><path class="axis" d="M{left + self.usual * width:.1f},{middle - 4}v8"/>'
            f'<circle cx="{left + share * width:.1f}" cy="{middle}" r="3.6" fill="{colour(1)}">'
            f"<title>{escape(self.classes[1])}: {self.numbers.percent(share)}</title></circle>"
        )

    def whole(self, counts: Sequence[float], name: str) -> "Markup":
        """The classes as parts of one bar."""
        total, left, parts = sum(counts) or 1, 0.0, []
        for index, count in enumerate(counts):
            width = count / total * 600
            title = f"{self.classes[index]}: {self.numbers.integer(count)} ({self.numbers.percent(count / total)})"
            box = f'x="{left:.1f}" width="{max(0.5, width - 1.5):.1f}" height="22" rx="3"'
            parts.append(f'<rect {box} fill="{colour(index)}"><title>{escape(title)}</title></rect>')
            left += width
        return _svg(24, name, "".join(parts), 600)

    def _title(self, one: Bin) -> str:
        total = sum(one.counts)
        by_class = ", ".join(f"{text} {self.numbers.integer(count)}" for text, count in zip(self.classes, one.counts, strict=True) if count)
        share = f" · {self.classes[1]} {self.numbers.percent(one.counts[1] / total)}" if self._two and total else ""
        return f"{one.name}: {by_class or 0}{share}"


def _anchor(place: float, bars: int) -> str:
    return "start" if place <= bars * 0.08 else "end" if place >= bars * 0.92 else "middle"


def _short(text: str, most: int = 20) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "", title: str = "") -> str:
    label = f"<title>{escape(title)}</title>" if title and title != text else ""
    kind = f' class="{css}"' if css else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{label}</text>'


def _svg(height: float, name: str, body: str, width: float = WIDTH) -> "Markup":
    from markupsafe import Markup

    return Markup(f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}">{body}</svg>')
