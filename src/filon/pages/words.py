"""The texts of the pages, by language: TOML files with the same keys in English and Spanish."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from markupsafe import Markup

Lang = Literal["en", "es"]
LANGS: tuple[Lang, ...] = ("en", "es")

LISTED = (
    (re.compile(r'(?<=" )and (\d+) more$'), "more"),
    (re.compile(r'\(row (\d+)\)(?=")'), "row"),
    (re.compile(r'(?<=")trial (\d+), '), "trial"),
)
"""What a list of examples holds beside names and values, and the text under `[some]` that says it."""

FOLDER = Path(__file__).parent / "words"


@cache
def texts(page: str, lang: Lang) -> dict[str, str]:
    """Every text of a page under its dotted key, with those of `common`, which all pages share."""
    found: dict[str, str] = {}
    for name in ("common", page):
        path = FOLDER / f"{name}.{lang}.toml"
        if path.exists():
            found.update(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))
    return found


class Words:
    """Texts of one page in one language.

    >>> Words("es", "common")("yes")
    'sí'
    """

    def __init__(self, lang: Lang, page: str = "common") -> None:
        self.lang: Lang = lang
        self._texts = texts(page, lang)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its {names} filled in."""
        return self._texts[key].format(**values)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def many(self, key: str, n: float, **values: object) -> str:
        """The text for a count: `key.one` or `key.many`; {n} is what was given as `shown`, or the count."""
        shown = values.pop("shown", f"{n:g}")
        return self(f"{key}.{'one' if n == 1 else 'many'}", n=shown, **values)

    def some(self, listed: str) -> str:
        """A list of examples as `errors.some` wrote it, in this language.

        >>> Words("es").some('"a (row 3)" and 2 more')
        '"a (fila 3)" y 2 más'
        """
        for pattern, key in LISTED:
            listed = pattern.sub(self(f"some.{key}", n=r"\1"), listed)
        return listed

    def rich(self, key: str, **values: object) -> "Markup":
        """The text of a key as HTML: values escaped, **bold** and `code` marked up."""
        return self.mark(self(key, **values))

    @staticmethod
    def mark(text: str) -> "Markup":
        """A text marked with ** and ` as HTML; everything else in it is escaped."""
        from markupsafe import Markup, escape

        marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
        return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", marked))


def _flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = str(value)
    return flat
