"""A first recipe for a table that the user names: what `filon init` does."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from filon.check.guess import Guess, guess
from filon.check.recipe_text import recipe_text
from filon.engines import lake
from filon.engines.base import Engine, LabelPlan, Profile
from filon.errors import DataError, some
from filon.events import Listen
from filon.pages import Lang
from filon.read.columns import refuse_unusable
from filon.read.reading import look
from filon.read.settings import DataSettings
from filon.recipe import recipe_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The recipe's text, what it was made from, and what a person should know."""

    text: str
    guess: Guess
    notes: tuple[str, ...]


def draft(folder: Path, data: str, label: str, name: str, lang: Lang, engine: Engine, listen: Listen) -> Draft:
    """Look at a table once (twice if the label was not the first guess) and write its recipe.

    Raises
    ------
    DataError : `read.label-missing` when the label named is not a column
    RecipeError : `read.type-impossible` when it is of no use as one; `recipe.bad-value` when no recipe can have the name
    """
    if name:  # refused before the look, and not by the first command that reads the recipe
        recipe_from({"name": name, "data": {"source": "t.csv", "label": "y"}}, folder)
    source = look(DataSettings(source=data, label=label), Path.cwd(), listen)
    names = [column.name for column in source.columns]
    if label and label not in names:
        raise DataError("read.label-missing", f"{data} has no column {label!r}", f"it has {some(names)}", "name one of them with --label")
    for column in source.columns:
        refuse_unusable(column, "label" if column.name == label else None)
    table = engine.read(source)

    def profile(column: str) -> Profile:
        return engine.profile(table, LabelPlan(column=column))

    found = guess(table.source, profile, label)
    text = recipe_text(found, name or _name(data), _relative(data, folder), lang, bool(label))
    return Draft(text=text, guess=found, notes=_notes(found))


def _name(data: str) -> str:
    """A recipe's name from the file's: letters, digits and dashes."""
    stem = re.split(r"[/\\]", data.rstrip("/*"))[-1].split(".")[0]
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()  # peñarroya is penarroya, not pe-arroya
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:60] or "table"


def _relative(data: str, folder: Path) -> str:
    """A local path as seen from the recipe's folder; anything else as it is."""
    named = lake.NAMED.fullmatch(data)
    kind, where, version = named.groups() if named else ("", data, None)
    if "://" in where or kind == "table" or (named and not Path(where).exists()):
        return data
    # The recipe's folder may be a link: `..` leads out of what it points at. A link on the way to the data stays, unless `..` follows it
    path = Path(where).absolute()
    seen = path.parent.resolve() / path.name if ".." in path.parts else path
    return (f"{kind}:" if kind else "") + Path(os.path.relpath(seen, folder.resolve())).as_posix() + (f"@{version}" if version else "")


def _notes(found: Guess) -> tuple[str, ...]:
    told = f"positive: {found.positive}" if found.positive else f"{len(found.classes)} classes"
    notes = [f"label: {found.label}, {told}"]
    if found.suspects:
        notes.append(f"known too late, perhaps: {some(one.name for one in found.suspects)}")
    if found.ids:
        notes.append(f"identifiers, left out: {some(found.ids)}")
    if found.dates:
        notes.append(f"dates, never features by themselves: {some(found.dates)}")
    return tuple(notes)
