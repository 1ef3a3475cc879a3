"""Charts as inline SVG: light, sharp at any size, and coloured by the page's CSS variables, so that they follow light, dark and paper.

Every chart has an accessible name; lines differ by dash as well as by colour; marks carry a `<title>`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from filon.pages.drawing import COLOURS, Bar, Drawing, Format, Line, Mark, Span, nice, tick
from filon.pages.numbers import Numbers

if TYPE_CHECKING:
    from markupsafe import Markup

Anchor = Literal["start", "middle", "end"]


def colour(index: int) -> str:
    """The CSS colour of a series: 0 is the first (negative) class, 1 the positive one."""
    return f"var(--c{index % COLOURS})"


@dataclass(slots=True)
class Plane:
    """A drawing area with two scales, in SVG user units."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 460
    height: float = 300
    left: float = 46
    right: float = 14
    top: float = 24
    bottom: float = 40
    parts: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        """Horizontal place of a value."""
        low, high = self.x
        return self.left + (self.width - self.left - self.right) * (value - low) / ((high - low) or 1)

    def py(self, value: float) -> float:
        """Vertical place of a value."""
        low, high = self.y
        return self.height - self.bottom - (self.height - self.top - self.bottom) * (value - low) / ((high - low) or 1)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """A path through points."""
        return "M" + "L".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))

    def add(self, text: str) -> None:
        """One more element."""
        self.parts.append(text)

    def svg(self, name: str) -> "Markup":
        """The finished chart."""
        return _svg(self.width, self.height, name, "".join(self.parts))


class Charts:
    """Draws in one language: the number formats of axes."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def draw(self, drawing: Drawing, width: int = 460, height: int = 300) -> "Markup":
        """Lines over two axes."""
        plane = Plane(drawing.x_range, drawing.y_range, width=width, height=height)
        self._axes(plane, drawing.x_name, drawing.y_name, drawing.x_format, drawing.y_format)
        for guide in drawing.guides:
            plane.add(f'<path class="guide" d="{plane.path([p[0] for p in guide], [p[1] for p in guide])}"/>')
        for at, text in drawing.verticals:
            _vertical(plane, at, text)
        for line in drawing.lines:
            _line(plane, line)
        for mark in drawing.marks:
            _mark(plane, mark)
        return plane.svg(drawing.name)

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
        for (low, high), row in zip(pairwise(edges), counts, strict=True):
            base = 0.0
            left, right = plane.px(low) + 0.5, plane.px(high) - 0.5
            bounds = f"{tick(self.numbers, low, x_format)} – {tick(self.numbers, high, x_format)}"
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

    def bars(self, bars: Sequence[Bar], name: str, width: int = 560, label: int = 170) -> "Markup":
        """Horizontal bars, one row each, each series on its own scale; the value is written after the bar."""
        series = max((len(bar.values) for bar in bars), default=1)
        most = [max((bar.values[i] for bar in bars if len(bar.values) > i), default=0) or 1 for i in range(series)]
        step = 11 + 13 * series
        parts = []
        for row, bar in enumerate(bars):
            top = row * step + 6
            parts.append(_text(label - 8, top + (step - 11) / 2 + 4, _short(bar.name), "end", "name", title=bar.name))
            for i, value in enumerate(bar.values):
                long = max(0.0, value) / most[i] * (width - label - 64)
                text = bar.texts[i] if len(bar.texts) > i else self.numbers.significant(value)
                y = top + 13 * i
                parts.append(f'<rect x="{label}" y="{y}" width="{max(1.0, long):.1f}" height="10" rx="2" fill="{colour(i)}"{_hatch(i)}/>')
                parts.append(_text(label + long + 6, y + 9, text))
        return _svg(width, len(bars) * step + 8, name, "".join(parts))

    def spans(
        self,
        spans: Sequence[Span],
        name: str,
        reference: float | None = None,
        bounds: tuple[float, float] | None = None,
        form: Format = "number",
        width: int = 460,
        label: int = 150,
    ) -> "Markup":
        """Values with their intervals, one row each, on one scale; a vertical line at `reference`."""
        values = [v for span in spans for v in (span.low, span.high)] + ([reference] if reference is not None else [])
        low, high = bounds or (min(values, default=0), max(values, default=1))
        pad = 0.04 * ((high - low) or 1)
        plane = Plane((low - pad, high + pad), (0, 1), width=width, height=len(spans) * 20 + 34, left=label, top=6, bottom=28)
        floor = plane.height - plane.bottom
        self._x_axis(plane, form)
        if reference is not None:
            plane.add(f'<path class="guide" d="M{plane.px(reference):.1f},2V{floor}"/>')
        for row, span in enumerate(spans):
            y = row * 20 + 16
            plane.add(_text(label - 10, y + 4, _short(span.name), "end", "name", title=span.title or span.name))
            plane.add(_interval(plane, span, y))
        return plane.svg(name)

    def cell(self, span: Span, bounds: tuple[float, float], reference: float | None = None) -> "Markup":
        """One interval as small as a table cell, between bounds that all rows share."""
        from markupsafe import Markup

        plane = Plane(bounds, (0, 1), width=190, height=18, left=7, right=7, top=0, bottom=0)
        parts = ['<path d="M7,9H183" stroke="var(--grid)"/>']
        if reference is not None:
            parts.append(f'<path d="M{plane.px(reference):.1f},0V18" stroke="var(--faint)" stroke-dasharray="3 3"/>')
        parts.append(_interval(plane, span, 9))
        return Markup(f'<svg class="cell" viewBox="0 0 190 18" role="img" aria-label="{escape(span.title)}">{"".join(parts)}</svg>')

    def strips(
        self,
        strips: Sequence[tuple[str, Sequence[float]]],
        name: str,
        best: float,
        form: Format = "number",
        width: int = 460,
        label: int = 130,
    ) -> "Markup":
        """One row of dots a group; the best value is ringed."""
        values = [value for _, row in strips for value in row]
        low, high = min(values, default=0), max(values, default=1)
        pad = 0.05 * ((high - low) or 1)
        plane = Plane((low - pad, high + pad), (0, 1), width=width, height=len(strips) * 34 + 34, left=label, top=6, bottom=28)
        self._x_axis(plane, form)
        ringed = False
        for row, (group, values_here) in enumerate(strips):
            y = row * 34 + 24
            plane.add(_text(label - 12, y + 4, _short(group), "end", "name"))
            plane.add(f'<path class="rule" d="M{label},{y}H{width - plane.right}"/>')
            for i, value in enumerate(values_here):
                shift = (i * 7 % 5 - 2) * 2.6  # spread by a fixed pattern: the same page for the same trials
                title = f"<title>{escape(tick(self.numbers, value, form, 0.0001))}</title>"
                at = f'cx="{plane.px(value):.1f}" cy="{y + shift:.1f}"'
                plane.add(f'<circle {at} r="4" fill="{colour(row)}" fill-opacity=".55">{title}</circle>')
                if value == best and not ringed:
                    ringed = True
                    plane.add(f'<circle {at} r="8" fill="none" stroke="var(--gold)" stroke-width="2.4"/>')
        return plane.svg(name)

    def legend(self, names: Sequence[str], dashes: Sequence[str] = (), colours: Sequence[int] = ()) -> "Markup":
        """Names with a sample of each line (or a block, without dashes)."""
        from markupsafe import Markup

        items = []
        for i, name in enumerate(names):
            tint = colour(colours[i] if colours else i)
            if dashes:
                sample = f'<path d="M0 5H26" stroke="{tint}" stroke-width="2.4" stroke-dasharray="{dashes[i] or "none"}"/>'
            else:
                sample = f'<rect width="14" height="10" x="6" rx="2" fill="{tint}"{_hatch(i)}/>'
            items.append(f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{sample}</svg>{escape(name)}</li>')
        return Markup(f'<ul class="legend">{"".join(items)}</ul>')

    def _axes(self, plane: Plane, x_name: str, y_name: str, x_format: Format, y_format: Format) -> None:
        ticks, step = nice(*plane.y, most=5)
        if y_format == "integer":
            ticks = [at for at in ticks if at == int(at)]
        for at in ticks:
            y = plane.py(at)
            plane.add(f'<path class="rule" d="M{plane.left},{y:.1f}H{plane.width - plane.right}"/>')
            plane.add(_text(plane.left - 6, y + 4, tick(self.numbers, at, y_format, step), "end"))
        self._x_axis(plane, x_format)
        plane.add(_text((plane.left + plane.width - plane.right) / 2, plane.height - 5, x_name, "middle"))
        plane.add(_text(0, 11, y_name))

    def _x_axis(self, plane: Plane, form: Format) -> None:
        floor = plane.height - plane.bottom
        ticks, step = nice(*plane.x, most=6)
        for at in ticks:
            plane.add(f'<path class="axis" d="M{plane.px(at):.1f},{floor}v4"/>')
            plane.add(_text(plane.px(at), floor + 16, tick(self.numbers, at, form, step), "middle"))
        plane.add(f'<path class="axis" d="M{plane.left},{floor}H{plane.width - plane.right}"/>')


def _line(plane: Plane, line: Line) -> None:
    tint = colour(line.colour)
    xs, ys = (line.x, line.y) if not line.steps else _stairs(line.x, line.y)
    if not len(xs):
        return
    if line.whiskers:
        for at, low, high in zip(line.x, line.low, line.high, strict=True):
            plane.add(
                f'<path d="M{plane.px(at):.1f},{plane.py(low):.1f}V{plane.py(high):.1f}" stroke="{tint}" stroke-width="1.6" opacity=".6"/>'
            )
    elif line.low:
        band = plane.path([*line.x, *reversed(line.x)], [*line.high, *reversed(line.low)])
        plane.add(f'<path d="{band}Z" fill="{tint}" opacity=".16"/>')
    if line.area:
        base = max(0.0, plane.y[0])
        plane.add(f'<path d="{plane.path([xs[0], *xs, xs[-1]], [base, *ys, base])}Z" fill="{tint}" opacity=".18"/>')
    style = f'fill="none" stroke="{tint}" stroke-width="2.2" stroke-linejoin="round" stroke-dasharray="{line.dash or "none"}"'
    plane.add(f'<path d="{plane.path(xs, ys)}" {style}><title>{escape(line.name)}</title></path>')
    if line.dots:
        for i, (px, py) in enumerate(zip(line.x, line.y, strict=True)):
            title = f"<title>{escape(line.titles[i])}</title>" if len(line.titles) > i else ""
            plane.add(f'<circle cx="{plane.px(px):.1f}" cy="{plane.py(py):.1f}" r="3.6" fill="{tint}">{title}</circle>')


def _interval(plane: Plane, span: Span, y: float) -> str:
    """A value between its bounds; one to be noticed is a red diamond, so that it is not told by colour alone."""
    tint, x = "var(--bad)" if span.strong else colour(0), plane.px(span.value)
    reach = f"M{plane.px(span.low):.1f},{y}H{plane.px(span.high):.1f}"
    shape = f'<circle cx="{x:.1f}" cy="{y}" r="4.2" fill="{tint}"/>'
    if span.strong:
        shape = f'<path d="M{x - 5.5:.1f},{y}L{x:.1f},{y - 5.5}L{x + 5.5:.1f},{y}L{x:.1f},{y + 5.5}Z" fill="{tint}"/>'
    return f'<g><path d="{reach}" stroke="{tint}" stroke-width="2.4" stroke-linecap="round"/>{shape}<title>{escape(span.title)}</title></g>'


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
    return [edge for pair in pairwise(edges) for edge in pair], [height for height in heights for _ in range(2)]


def _hatch(index: int) -> str:
    """Later series are outlined as well, so that they differ without colour."""
    return "" if index == 0 else f' fill-opacity=".45" stroke="{colour(index)}" stroke-width="1.2"'


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: float, y: float, text: str, anchor: Anchor = "start", css: str = "", title: str = "") -> str:
    label = f"<title>{escape(title)}</title>" if title and title != text else ""
    kind = f' class="{css}"' if css else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{label}</text>'


def _svg(width: float, height: float, name: str, body: str) -> "Markup":
    from markupsafe import Markup

    return Markup(f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}">{body}</svg>')
