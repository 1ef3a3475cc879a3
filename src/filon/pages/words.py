"""The texts of the pages, by language: TOML files with the same keys in English and Spanish."""

import re
import tomllib
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from markupsafe import Markup

Lang = Literal["en", "es"]
LANGS: tuple[Lang, ...] = ("en", "es")

COUNTS = ("n", "list")
"""Places of `[some]` that hold counts and numbers of trials; the others hold figures."""

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

    def some(self, told: str) -> str:
        """What was told in English by the texts of `[some]` (a list of examples, the figures of a rule), in this language.

        >>> Words("es").some('"a (row 3)" and 2 more')
        '"a (fila 3)" y 2 más'
        """
        if self.lang == "en":
            return told
        for key, pattern in _told_in_english():
            told = pattern.sub(partial(self._retold, key), told)
        return told

    def _retold(self, key: str, found: re.Match[str]) -> str:
        figures = {name: text if name in COUNTS else text.replace(".", ",") for name, text in found.groupdict().items()}
        return self(key, **figures)

    def rich(self, key: str, **values: object) -> "Markup":
        """The text of a key as HTML: values escaped, **bold** and `code` marked up."""
        return self.mark(self(key, **values))

    @staticmethod
    def mark(text: str) -> "Markup":
        """A text marked with ** and ` as HTML; everything else in it is escaped."""
        from markupsafe import Markup, escape

        marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
        return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", marked))


@cache
def _told_in_english() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The English texts under `[some]` as patterns, the longest first."""
    said = {key: text for key, text in texts("common", "en").items() if key.startswith("some.")}
    ordered = sorted(said, key=lambda key: -len(said[key]))
    return tuple((key, re.compile(re.sub(r"\\\{(\w+)\\\}", _place, re.escape(said[key])))) for key in ordered)


def _place(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>" + (r"\d+" if found[1] == "n" else r"[\d.,e+ -]+?|nan|inf") + ")"


def _flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = str(value)
    return flat
