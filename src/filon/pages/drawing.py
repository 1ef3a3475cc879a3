"""What a chart shows, free of how it is drawn: `charts` draws it as SVG for a page, `figures` as PNG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from filon.pages.numbers import Numbers

Format = Literal["percent", "number", "integer"]

DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 3", "6 2 1 2", "3 1", "10 2 2 2")
"""A dash for each series, so that lines differ without colour."""

COLOURS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line. `low` and `high` draw a band; `area` fills down to the axis; `steps` draws stairs (one y less than x)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dash: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    whiskers: bool = False
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
class Drawing:
    """Lines over two axes. `name` says in a sentence what is to be seen (for who cannot see it), `title` is the heading of a PNG.

    guides : dashed lines of points; verticals : (x, text); ranges are those of the data when left out."""

    name: str
    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    x_format: Format = "percent"
    y_format: Format = "percent"
    guides: Sequence[Sequence[tuple[float, float]]] = ()
    marks: Sequence[Mark] = ()
    verticals: Sequence[tuple[float, str]] = ()

    @property
    def x_range(self) -> tuple[float, float]:
        """Range of the horizontal axis."""
        return self.x or _range([value for line in self.lines for value in line.x])

    @property
    def y_range(self) -> tuple[float, float]:
        """Range of the vertical axis."""
        return self.y or _range([value for line in self.lines for values in (line.y, line.low, line.high) for value in values])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a bar chart: one value a series, with what to write after each bar."""

    name: str
    values: Sequence[float]
    texts: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One row of an interval chart: a value between two bounds, with rows of like kind behind it."""

    name: str
    value: float
    low: float
    high: float
    title: str = ""
    strong: bool = False


def legend_of(drawing: Drawing) -> tuple[list[str], list[str], list[int]]:
    """Names, dashes and colours of the named lines."""
    named = [line for line in drawing.lines if line.name]
    return [line.name for line in named], [line.dash for line in named], [line.colour for line in named]


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


def tick(numbers: Numbers, value: float, form: Format, step: float = 0.0) -> str:
    """A value as an axis writes it; `step` is the distance of two ticks."""
    if form == "percent":
        return numbers.percent(value, 0 if not step else _decimals(step * 100, 4))
    if form == "integer":
        return numbers.integer(value)
    if step and abs(value) < 1e6:
        return numbers.number(value, _decimals(step, 8))
    return numbers.significant(value)


def _decimals(step: float, most: int) -> int:
    """Decimals that tell two ticks apart: 0.25 needs two.

    >>> _decimals(0.25, 8), _decimals(0.2, 8), _decimals(20, 8)
    (2, 1, 0)
    """
    return next((digits for digits in range(most) if abs(round(step, digits) - step) < 1e-9 * step), most)


def _range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
