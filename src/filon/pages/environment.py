"""The Jinja environment of every page."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filon.pages import charts
from filon.pages.drawing import legend_of
from filon.pages.numbers import Numbers
from filon.pages.words import Lang, Words

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent


def render(template: str, lang: Lang, page: str = "common", **values: object) -> str:
    """A page as text.

    Parameters
    ----------
    template : name of a file in `templates`; `.html.j2` is escaped, `.md.j2` is not
    page : name of its texts in `words`
    **values : what the template shows
    """
    words, numbers = Words(lang, page), Numbers(lang)
    return _environment(lang).get_template(template).render(t=words, chart=charts.Charts(numbers), lang=lang, numbers=numbers, **values)


@cache
def _environment(lang: Lang) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    numbers = Numbers(lang)
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in ("number", "integer", "signed", "significant", "percent", "seconds", "bytes"):
        environment.filters[name] = getattr(numbers, name)
    environment.filters["pipe"] = _in_a_table
    environment.globals["legend"] = legend_of
    environment.globals["theme"] = (HERE / "theme.css").read_text(encoding="utf-8")
    return environment


MEANS = {"|": "\\|", "\n": " ", "*": "\\*", "`": "\\`", "<": "&lt;"}
"""What Markdown would not show as it stands in a cell of a table: ends of cells and lines, emphasis, code, tags."""


def _in_a_table(text: object) -> str:
    return "".join(MEANS.get(letter, letter) for letter in str(text))
