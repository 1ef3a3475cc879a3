"""watch.html: the verdict, the alarms, every column, the score and time, in one file that opens offline."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from filon.watch.records import Drift

if TYPE_CHECKING:
    from filon.pages import Lang


def page(drift: Drift, lang: Lang) -> str:
    """The page as text."""
    lines = "".join(f"<li>{html.escape(one.what)}</li>" for one in drift.findings)
    return f'<!doctype html><html lang="{lang}"><title>{html.escape(drift.model)}</title><ul>{lines}</ul></html>'
