"""Charts are well-formed, named for who cannot see them, escaped, and finite whatever they are given."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.pages import Numbers, figures
from filon.pages.charts import Charts
from filon.pages.drawing import Bar, Drawing, Line, Mark, Span, legend_of, nice

CHARTS = Charts(Numbers("en"))
UGLY = '<a href="x">&'


def drawing(**changes) -> Drawing:
    line = Line(name=UGLY, x=[0, 0.5, 1], y=[0, 0.8, 1], area=True, dots=True, titles=[UGLY] * 3, dash="4 2")
    band = Line(name="band", x=[0, 1], y=[0.2, 0.4], low=[0.1, 0.3], high=[0.3, 0.5], whiskers=True, colour=1)
    fields = {"name": UGLY, "title": UGLY, "x_name": UGLY, "y_name": UGLY, "lines": [line, band], "guides": [((0, 0), (1, 1))]}
    return Drawing(**{**fields, "marks": [Mark(x=0.9, y=0.9, text=UGLY)], "verticals": [(0.5, UGLY)], **changes})


SVGS = {
    "draw": lambda: CHARTS.draw(drawing()),
    "steps": lambda: CHARTS.draw(drawing(lines=[Line(name="s", x=[0, 1, 2], y=[3, 4], steps=True)])),
    "empty": lambda: CHARTS.draw(drawing(lines=[], marks=[], guides=[], verticals=[])),
    "histogram": lambda: CHARTS.histogram([0, 1, 2], [[3, 1], [0, 2]], [UGLY, "b"], UGLY),
    "bars": lambda: CHARTS.bars([Bar(name=UGLY, values=(0.5, 0.1), texts=(UGLY, "b"))], UGLY),
    "spans": lambda: CHARTS.spans([Span(name=UGLY, value=1, low=0, high=2, strong=True, title=UGLY)], UGLY, reference=0.5),
    "strips": lambda: CHARTS.strips([(UGLY, [0.1, 0.5]), ("b", [0.5])], UGLY, 0.5),
    "cell": lambda: CHARTS.cell(Span(name="a", value=1, low=0, high=2, title=UGLY), (0, 3), 1.5),
}


@pytest.mark.parametrize("kind", SVGS)
def test_a_chart_is_well_formed_named_and_finite(kind):
    text = str(SVGS[kind]())
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-label") == UGLY
    assert not re.search(r"\b(nan|inf)\b", text)
    assert not [each for each in root.iter() if each.tag.endswith("a")]


def test_one_trial_is_ringed_even_when_two_are_equal():
    assert str(CHARTS.strips([("a", [0.5]), ("b", [0.5])], "x", 0.5)).count('r="8"') == 1


def test_a_legend_names_the_lines_that_have_a_name():
    lines = [Line(name="", x=[0], y=[0]), Line(name="seen", x=[0], y=[0], colour=3, dash="1 2")]
    assert legend_of(drawing(lines=lines)) == (["seen"], ["1 2"], [3])


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
def test_ticks_are_few_round_and_inside(low, span, most):
    ticks, step = nice(low, low + span, most)
    assert len(ticks) <= most + 1
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert step > 0


PNGS = {
    "lines": lambda: figures.lines(drawing(name="a", title="a", x_name="x", y_name="y"), Numbers("es")),
    "matrix": lambda: figures.matrix([[3, 1], [0, 0]], ["no", "sí"], "t", "true", "predicted", Numbers("es")),
    "large matrix": lambda: figures.matrix([[1.0] * 12] * 12, [f"class {i}" for i in range(12)], "t", "true", "predicted", Numbers("en")),
    "bars": lambda: figures.bars([Bar(name="a" * 60, values=(0.0, 0.2), texts=("0", "1"))], ["g", "s"], "t", "x"),
    "note": lambda: figures.note("nothing to draw", "t"),
    "dollars": lambda: figures.bars([Bar(name="Sales ($) % of cost ($)", values=(0.2,), texts=("$^$",))], ["$_$"], "$\\x$", "$x^$ 🚀"),
}


@pytest.mark.parametrize("kind", PNGS)
def test_a_plot_is_a_png_and_the_same_each_time(kind):
    plot = PNGS[kind]()
    assert plot.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(plot) > 3_000
    assert plot == PNGS[kind]()
