"""PNG plots, drawn with matplotlib's objects (no pyplot: no global state, no window), from the same records as the SVG charts."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from filon.pages.drawing import Bar, Drawing, Format, Line, nice, tick
from filon.pages.numbers import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#4a6fa5", "#d9861a", "#2e9079", "#b65fa0", "#8a7a2b", "#6a57b5", "#c2504a", "#4f9fc4", "#7d8590", "#6d9a3a")
INK, MUTED, RULE, GOLD = "#1d2430", "#5d6675", "#e6e3dc", "#a8680a"
DPI = 110


def lines(drawing: Drawing, numbers: Numbers) -> bytes:
    """Lines over two axes, with a legend when there is more than one."""
    figure, axes = _sheet(drawing.title, (6.4, 4.9))
    for guide in drawing.guides:
        axes.plot([p[0] for p in guide], [p[1] for p in guide], color="#8a92a0", lw=1.1, ls=(0, (4, 4)), zorder=1)
    for at, text in drawing.verticals:
        axes.axvline(at, color="#8a92a0", lw=1.1, ls=(0, (4, 4)), zorder=1)
        axes.annotate(
            text, (at, 1), xycoords=("data", "axes fraction"), xytext=(5, -12), textcoords="offset points", color=MUTED, fontsize=9
        )
    for line in drawing.lines:
        _line(axes, line)
    for mark in drawing.marks:
        axes.plot([mark.x], [mark.y], "o", color=COLOURS[mark.colour % len(COLOURS)], ms=8, mec="white", mew=1.6, zorder=5, clip_on=False)
        right = mark.x > sum(drawing.x_range) * 0.62
        axes.annotate(
            mark.text,
            (mark.x, mark.y),
            xytext=(-10 if right else 10, -14),
            ha="right" if right else "left",
            textcoords="offset points",
            color=INK,
            fontsize=9.5,
            zorder=6,
            path_effects=[_halo()],
        )
    _axis(axes.set_xlim, axes.set_xticks, drawing.x_range, drawing.x_format, numbers)
    _axis(axes.set_ylim, axes.set_yticks, drawing.y_range, drawing.y_format, numbers)
    axes.set_xlabel(drawing.x_name, color=MUTED, fontsize=10)
    axes.set_ylabel(drawing.y_name, color=MUTED, fontsize=10)
    if len(drawing.lines) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")
    return _png(figure)


def matrix(
    cells: Sequence[Sequence[float]], names: Sequence[str], title: str, true_name: str, predicted_name: str, numbers: Numbers
) -> bytes:
    """A confusion matrix: shade and percentage are shares of the true class (rows of the matrix)."""
    size = min(11.0, max(4.9, 2.6 + 0.62 * len(names)))
    labels = [_short(name, 18) for name in names]
    small = len(names) > 6
    slanted = _inches(labels) > (size - 0.3) / len(names)
    margin = 0.45 + _inches(labels)
    below = 0.75 * _inches(labels) if slanted else 0.0
    figure, axes = _sheet(title, (size + margin, size + 0.5 + below), left=margin, bottom=0.6 + below)
    shares = [[cell / (sum(row) or 1) for cell in row] for row in cells]
    axes.imshow(shares, cmap=_shade(), vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            text = numbers.integer(cell) if small else f"{numbers.integer(cell)}\n{numbers.percent(shares[i][j])}"
            if not small or (cell and len(names) <= 25):
                tint = "white" if shares[i][j] > 0.55 else INK
                axes.text(j, i, text, ha="center", va="center", color=tint, fontsize=8 if small else 12, linespacing=1.5)
    axes.set_xticks(range(len(names)), labels, rotation=45 if slanted else 0, ha="right" if slanted else "center", color=INK, fontsize=9.5)
    axes.set_yticks(range(len(names)), labels, color=INK, fontsize=9.5)
    axes.set_xlabel(predicted_name, color=MUTED, fontsize=10)
    axes.set_ylabel(true_name, color=MUTED, fontsize=10)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    return _png(figure)


def bars(rows: Sequence[Bar], names: Sequence[str], title: str, x_name: str) -> bytes:
    """Horizontal bars, the first row on top; each series is scaled to its largest value."""
    labels = [_short(bar.name, 28) for bar in rows]
    left = 0.3 + _inches(labels)
    figure, axes = _sheet(title, (5.0 + left, max(2.6, 1.5 + 0.36 * len(rows))), left=left)
    series = len(names)
    high = 0.78 / max(1, series)
    for i, name in enumerate(names):
        most = max((bar.values[i] for bar in rows), default=0) or 1
        at = [row + (i - (series - 1) / 2) * high for row in range(len(rows))]
        axes.barh(
            at,
            [bar.values[i] / most for bar in rows],
            height=high * 0.9,
            color=COLOURS[i],
            label=name,
            hatch="" if i == 0 else "///",
            ec="white",
            lw=0,
        )
        for y, bar in zip(at, rows, strict=True):
            axes.text(bar.values[i] / most + 0.012, y, bar.texts[i], va="center", color=MUTED, fontsize=8)
    axes.set_yticks(range(len(rows)), labels, color=INK, fontsize=9.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.14)
    axes.set_xticks([])
    axes.set_xlabel(x_name, color=MUTED, fontsize=10)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    if series > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right")
    return _png(figure)


def note(text: str, title: str) -> bytes:
    """A sheet that says why there is nothing to draw."""
    figure, axes = _sheet(title, (6.4, 3.2))
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, fontsize=11, wrap=True)
    return _png(figure)


def _sheet(title: str, size: tuple[float, float], left: float = 0.85, bottom: float = 0.65) -> tuple["Figure", "Axes"]:
    """A figure with one pair of axes; margins in inches are given, not sought: a layout engine would draw every plot twice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + 0.3) / width, 1 - (bottom + 0.55) / height))
    axes.set_title(title, loc="left", color=INK, fontsize=12.5, fontweight="bold", pad=12)
    axes.tick_params(length=0, labelcolor=MUTED, labelsize=9)
    axes.grid(color=RULE, lw=0.9)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color("#8a92a0")
    return figure, axes


def _line(axes: "Axes", line: Line) -> None:
    tint = COLOURS[line.colour % len(COLOURS)]
    dash: Any = (0, tuple(float(part) for part in line.dash.split())) if line.dash else "-"
    if line.whiskers:
        axes.vlines(line.x, line.low, line.high, color=tint, lw=1.6, alpha=0.6)
    elif line.low:
        axes.fill_between(line.x, line.low, line.high, color=tint, alpha=0.16, lw=0)
    if line.area:
        axes.fill_between(line.x, line.y, color=tint, alpha=0.12, lw=0)
    axes.plot(line.x, line.y, color=tint, lw=2, ls=dash, marker="o" if line.dots else "", ms=5, label=line.name, zorder=3)


def _axis(limit: Callable[..., Any], place: Callable[..., Any], bounds: tuple[float, float], form: Format, numbers: Numbers) -> None:
    ticks, step = nice(*bounds, most=6)
    place(ticks, [tick(numbers, at, form, step) for at in ticks])
    pad = 0.015 * (bounds[1] - bounds[0])
    limit(bounds[0] - pad, bounds[1] + pad)


def _shade() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("filon", ["#f6f4ee", "#9db4d3", "#3c5f93"])


def _inches(labels: Sequence[str]) -> float:
    """Width of the longest tick label, about: 9.5 points, 0.6 em a letter."""
    return 0.08 * max((len(label) for label in labels), default=0)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _halo() -> Any:
    from matplotlib.patheffects import withStroke

    return withStroke(linewidth=3, foreground="white")


def _png(figure: "Figure") -> bytes:
    """The figure as a file; names of columns and classes are shown as they are, whatever is in them."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # "Sales ($) % of cost ($)" is no formula
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a sign that the font lacks is a box, not a line of the log
        figure.savefig(out, format="png", metadata={"Software": None})  # the same numbers, the same bytes, whatever matplotlib drew them
    return out.getvalue()
