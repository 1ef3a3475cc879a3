"""Pages: the one place of jinja2 and matplotlib. A page is one file that opens offline, in English or Spanish, light or dark, on paper too.

Notes
-----
How another room makes a page:

1. `templates/<page>.html.j2` begins with `{% extends "base.html.j2" %}` and fills the blocks `title`, `lead`, `tiles`, `contents`, `main`
   (`templates/parts.html.j2` has macros: tile, toc, level, meter, figure, findings).
2. Its texts are `words/<page>.en.toml` and `words/<page>.es.toml` with the same keys (a test holds them together). A template says
   `t("key", name=value)`, `t.many("key", n)` for a count (the key is a table with `one` and `many`), and `t.rich("key")` where the text
   has **bold** or `code`.
3. `render("<page>.html.j2", lang, page="<page>", version=..., **values)` gives the page as text. A template is given plain records, dicts
   and numbers: it formats (filters `integer`, `number`, `percent`, `seconds`, `bytes` ...), draws (`chart.histogram` ...), and
   computes nothing.

Charts are inline SVG from `charts` (colours are CSS variables, so they follow the theme); PNG files are drawn by `figures`.
"""

from filon.pages.environment import render
from filon.pages.numbers import Numbers
from filon.pages.words import Lang, Words

__all__ = ["Lang", "Numbers", "Words", "render"]
