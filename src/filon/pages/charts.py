"""Charts as inline SVG: light, sharp at any size, and coloured by the page's CSS variables, so that they follow light, dark and paper.

Every chart has an accessible name, every line its own dash or a name beside it (never colour alone), and marks carry a `<title>`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from filon.pages.numbers import Numbers

if TYPE_CHECKING:
    from markupsafe import Markup

Format = Literal["percent", "number", "integer"]
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 3", "6 2 1 2")
COLOURS = 10


def colour(index: int) -> str:
    """The CSS colour of a series: 0 is the first (negative) class, 1 the positive one."""
    return f"var(--c{index % COLOURS})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line. `low` and `high` draw a band; `area` fills down to the axis; `steps` draws it as stairs (one y less than x)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dash: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    area: bool = False
    steps: bool = False
    dots: bool = False
    titles: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point with a word beside it."""

    x: float
    y: float
    text: str = ""
    colour: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a bar chart: one value a series, with what to write after the bar."""

    name: str
    values: Sequence[float]
    texts: Sequence[str] = ()
    low: float | None = None
    high: float | None = None


@dataclass(slots=True)
class Plane:
    """A drawing area with two scales."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 460
    height: int = 300
    left: int = 46
    right: int = 12
    top: int = 24
    bottom: int = 40
    parts: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        low, high = self.x
        return self.left + (self.width - self.left - self.right) * (value - low) / ((high - low) or 1)

    def py(self, value: float) -> float:
        low, high = self.y
        return self.height - self.bottom - (self.height - self.top - self.bottom) * (value - low) / ((high - low) or 1)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return "M" + "L".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))

    def add(self, text: str) -> None:
        self.parts.append(text)

    def svg(self, name: str) -> "Markup":
        return _svg(self.width, self.height, name, "".join(self.parts))


class Charts:
    """Draws in one language: the number formats of axes."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def lines(
        self,
        lines: Sequence[Line],
        name: str,
        x_name: str,
        y_name: str,
        x: tuple[float, float] | None = None,
        y: tuple[float, float] | None = None,
        x_format: Format = "percent",
        y_format: Format = "percent",
        guides: Sequence[Sequence[tuple[float, float]]] = (),
        marks: Sequence[Mark] = (),
        verticals: Sequence[tuple[float, str]] = (),
        height: int = 300,
        width: int = 460,
    ) -> "Markup":
        """Lines over two axes; x and y ranges are those of the data when left out."""
        plane = Plane(x or _range([value for line in lines for value in line.x]), y or _range(_heights(lines)), height=height, width=width)
        self._axes(plane, x_name, y_name, x_format, y_format)
        for guide in guides:
            plane.add(f'<path class="guide" d="{plane.path([p[0] for p in guide], [p[1] for p in guide])}"/>')
        for at, text in verticals:
            _vertical(plane, at, text)
        for line in lines:
            _line(plane, line)
        for mark in marks:
            _mark(plane, mark)
        return plane.svg(name)

    def histogram(
        self,
        edges: Sequence[float],
        counts: Sequence[Sequence[float]],
        names: Sequence[str],
        name: str,
        x_name: str = "",
        y_name: str = "",
        x_format: Format = "number",
        height: int = 220,
        width: int = 460,
    ) -> "Markup":
        """Bars of counts by bin, stacked by class: `counts[bin][class]`."""
        most = max((sum(row) for row in counts), default=0) or 1
        plane = Plane((edges[0], edges[-1]) if len(edges) > 1 else (0, 1), (0, most), width=width, height=height)
        self._axes(plane, x_name, y_name, x_format, "integer")
        for low, high, row in zip(edges[:-1], edges[1:], counts, strict=True):
            base = 0.0
            left, right = plane.px(low) + 0.5, plane.px(high) - 0.5
            bounds = f"{self.axis(low, x_format)} – {self.axis(high, x_format)}"
            for index, count in enumerate(row):
                if count > 0:
                    up = plane.py(base + count)
                    title = escape(f"{bounds} · {names[index]}: {self.numbers.integer(count)}")
                    plane.add(
                        f'<rect x="{left:.1f}" y="{up:.1f}" width="{max(0.8, right - left):.1f}" height="{plane.py(base) - up:.1f}"'
                        f' fill="{colour(index)}"><title>{title}</title></rect>'
                    )
                    base += count
        return plane.svg(name)

    def bars(self, bars: Sequence[Bar], name: str, width: int = 560, label: int = 150) -> "Markup":
        """Horizontal bars, one row each, on one scale per series; the value is written after the bar."""
        series = max((len(bar.values) for bar in bars), default=1)
        most = [max((bar.values[i] for bar in bars if len(bar.values) > i), default=0) or 1 for i in range(series)]
        step = 10 + 13 * series
        parts = []
        room = width - label - 64
        for row, bar in enumerate(bars):
            top = row * step + 6
            parts.append(_text(label - 8, top + (step - 10) / 2 + 3, _short(bar.name), "end", "name", title=bar.name))
            for i, value in enumerate(bar.values):
                long = max(0.0, value) / most[i] * room
                text = bar.texts[i] if len(bar.texts) > i else self.numbers.significant(value)
                y = top + 13 * i
                parts.append(f'<rect x="{label}" y="{y}" width="{max(1.0, long):.1f}" height="10" rx="2" fill="{colour(i)}"{_hatch(i)}/>')
                parts.append(_text(label + long + 6, y + 9, text))
        return _svg(width, len(bars) * step + 8, name, "".join(parts))

    def legend(self, names: Sequence[str], dashes: Sequence[str] = (), colours: Sequence[int] = ()) -> "Markup":
        """Names with a sample of each line (or a block, without dashes)."""
        from markupsafe import Markup

        items = []
        for i, name in enumerate(names):
            tint = colour(colours[i] if colours else i)
            if dashes:
                sample = f'<path d="M0 5H26" stroke="{tint}" stroke-width="2.4" stroke-dasharray="{dashes[i]}"/>'
            else:
                sample = f'<rect width="14" height="10" x="6" rx="2" fill="{tint}"{_hatch(i)}/>'
            items.append(f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{sample}</svg>{escape(name)}</li>')
        return Markup(f'<ul class="legend">{"".join(items)}</ul>')

    def axis(self, value: float, form: Format, step: float = 0.0) -> str:
        """A value as an axis writes it; `step` is the distance of two ticks."""
        if form == "percent":
            return self.numbers.percent(value, 0 if not step else max(0, min(4, -math.floor(math.log10(step * 100) + 1e-9))))
        if form == "integer":
            return self.numbers.integer(value)
        if step and abs(value) < 1e6:
            return self.numbers.number(value, max(0, min(8, -math.floor(math.log10(step) + 1e-9))))
        return self.numbers.significant(value)

    def _axes(self, plane: Plane, x_name: str, y_name: str, x_format: Format, y_format: Format) -> None:
        floor = plane.height - plane.bottom
        ticks, step = nice(*plane.y, most=5)
        if y_format == "integer":
            ticks = [tick for tick in ticks if tick == int(tick)]
        for tick in ticks:
            y = plane.py(tick)
            plane.add(f'<path class="rule" d="M{plane.left},{y:.1f}H{plane.width - plane.right}"/>')
            plane.add(_text(plane.left - 6, y + 4, self.axis(tick, y_format, step), "end"))
        ticks, step = nice(*plane.x, most=6)
        for tick in ticks:
            x = plane.px(tick)
            plane.add(f'<path class="axis" d="M{x:.1f},{floor}v4"/>')
            plane.add(_text(x, floor + 16, self.axis(tick, x_format, step), "middle"))
        plane.add(f'<path class="axis" d="M{plane.left},{floor}H{plane.width - plane.right}"/>')
        plane.add(_text((plane.left + plane.width - plane.right) / 2, plane.height - 5, x_name, "middle"))
        plane.add(_text(0, 11, y_name))


def nice(low: float, high: float, most: int = 6) -> tuple[list[float], float]:
    """Round tick values in a range, at most `most` (and one), and their distance.

    >>> nice(0, 1, 5)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], 0.2)
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low], 1.0
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)], step


def _line(plane: Plane, line: Line) -> None:
    tint = colour(line.colour)
    xs, ys = (line.x, line.y) if not line.steps else _stairs(line.x, line.y)
    if line.low:
        band = plane.path([*line.x, *reversed(line.x)], [*line.high, *reversed(line.low)])
        plane.add(f'<path d="{band}Z" fill="{tint}" opacity=".16"/>')
    if not len(xs):
        return
    if line.area:
        base = max(0.0, plane.y[0])
        plane.add(f'<path d="{plane.path([xs[0], *xs, xs[-1]], [base, *ys, base])}Z" fill="{tint}" opacity=".22"/>')
    style = f'fill="none" stroke="{tint}" stroke-width="2.2" stroke-linejoin="round" stroke-dasharray="{line.dash or "none"}"'
    plane.add(f'<path d="{plane.path(xs, ys)}" {style}><title>{escape(line.name)}</title></path>')
    if line.dots:
        for i, (px, py) in enumerate(zip(line.x, line.y, strict=True)):
            title = f"<title>{escape(line.titles[i])}</title>" if len(line.titles) > i else ""
            plane.add(f'<circle cx="{plane.px(px):.1f}" cy="{plane.py(py):.1f}" r="3.6" fill="{tint}">{title}</circle>')


def _vertical(plane: Plane, at: float, text: str) -> None:
    x = plane.px(at)
    plane.add(f'<path class="guide" d="M{x:.1f},{plane.top}V{plane.height - plane.bottom}"/>')
    right = x > plane.width * 0.6
    plane.add(_text(x + (-5 if right else 5), plane.top + 11, text, "end" if right else "start", "halo"))


def _mark(plane: Plane, mark: Mark) -> None:
    x, y = plane.px(mark.x), plane.py(mark.y)
    plane.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{colour(mark.colour)}" stroke="var(--card)" stroke-width="2"/>')
    if mark.text:
        right = x > plane.width * 0.62
        plane.add(_text(x + (-10 if right else 10), y + 16, mark.text, "end" if right else "start", "strong halo"))


def _stairs(edges: Sequence[float], heights: Sequence[float]) -> tuple[list[float], list[float]]:
    xs = [edge for pair in pairwise(edges) for edge in pair]
    return xs, [height for height in heights for _ in range(2)]


def _heights(lines: Sequence[Line]) -> list[float]:
    return [value for line in lines for values in (line.y, line.low, line.high) for value in values]


def _range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _hatch(index: int) -> str:
    """Later series are outlined as well, so that they differ without colour."""
    return "" if index == 0 else f' fill-opacity=".45" stroke="{colour(index)}" stroke-width="1.2"'


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: float, y: float, text: str, anchor: Literal["start", "middle", "end"] = "start", css: str = "", title: str = "") -> str:
    label = f"<title>{escape(title)}</title>" if title and title != text else ""
    kind = f' class="{css}"' if css else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{label}</text>'


def _svg(width: float, height: float, name: str, body: str) -> "Markup":
    from markupsafe import Markup

    return Markup(f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}">{body}</svg>')
