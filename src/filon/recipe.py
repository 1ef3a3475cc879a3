"""The recipe file, parsed once into frozen settings."""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator

from filon.check.settings import CheckSettings
from filon.errors import RecipeError, some
from filon.evaluate.settings import EvaluateSettings
from filon.places.settings import PlacesSettings
from filon.read.settings import DataSettings
from filon.registry.settings import GateSettings
from filon.rules import RulesSettings
from filon.search.settings import SearchSettings
from filon.settings import Settings
from filon.split.settings import SplitSettings
from filon.track import TrackSettings
from filon.variables import as_written, expanded, names_in
from filon.watch.settings import WatchSettings


class Recipe(Settings):
    """Everything but `name`, `data.source` and `data.label` has a default."""

    name: str = Field(description="names the run folder, the experiment and the registered model")
    data: DataSettings
    check: CheckSettings = CheckSettings()
    split: SplitSettings = SplitSettings()
    search: SearchSettings = SearchSettings()
    rules: RulesSettings = RulesSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    watch: WatchSettings = WatchSettings()
    track: TrackSettings = TrackSettings()
    gates: GateSettings = GateSettings()
    places: PlacesSettings = PlacesSettings()

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", value):
            raise ValueError("a name is 1 to 100 letters, digits, '-', '_' or '.', and starts with a letter or digit")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """A parsed recipe, the folder its relative paths start at, and what was written (without the values of `${NAME}`, which may be
    secrets)."""

    recipe: Recipe = field(repr=False)
    base: Path
    written: Mapping[str, Any]
    path: str

    @property
    def effective(self) -> dict[str, Any]:
        """The whole recipe with its defaults, as JSON would have it: to be shown, so with `${NAME}` where it was written."""
        shown: dict[str, Any] = as_written(self.recipe.model_dump(mode="json"), self.written)
        return shown

    @property
    def fingerprint(self) -> str:
        """Hash of the effective recipe without its secrets: equal recipes give equal fingerprints."""
        text = json.dumps(self.written, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def load_recipe(path: str | Path, sets: Sequence[str] = ()) -> RecipeFile:
    """Parse a recipe file.

    Parameters
    ----------
    path : the TOML file, or a folder that holds `filon.toml`
    sets : overrides such as "search.metric=areaUnderROC"; the value is TOML, or else a text

    Raises
    ------
    RecipeError : `recipe.*`, with the line of the key where there is one
    """
    file = Path(path)
    file = file / "filon.toml" if file.is_dir() else file
    text = _text(file)
    written = overridden(_parse(text, file), sets)
    return recipe_from(written, file.parent.absolute(), str(file), text)


def overridden(written: Mapping[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """A copy of what a recipe says, with overrides.

    >>> overridden({"name": "a", "track": {"alias": "b"}}, ["track.uri=http://c"])
    {'name': 'a', 'track': {'alias': 'b', 'uri': 'http://c'}}

    Raises
    ------
    RecipeError : `recipe.bad-set`
    """
    copy = deepcopy(dict(written))
    for one in sets:
        _override(copy, one)
    return copy


def recipe_from(written: Mapping[str, Any], base: Path, path: str = "<python>", text: str = "") -> RecipeFile:
    """A recipe from a mapping, as the Python API gives it."""
    try:
        values = expanded(written)
    except KeyError as exc:
        name = exc.args[0]
        why = f"{path} uses ${{{name}}}"
        raise RecipeError("recipe.variable-missing", f"the environment has no {name}", why, f"export {name}=...") from exc
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as exc:
        raise _translate(exc, path, text, written) from exc
    return RecipeFile(recipe=recipe, base=base, written=dict(written), path=path)


def to_toml(file: RecipeFile) -> str:
    """The whole effective recipe as TOML; what has no value is left out, `${NAME}` stays as it was written."""
    import tomli_w

    return tomli_w.dumps(_without_none(file.effective), multiline_strings=False)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None and item != {}}
    return [_without_none(item) for item in value] if isinstance(value, (list, tuple)) else value


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        near = sorted(entry.name for entry in file.parent.glob("*.toml")) if file.parent.is_dir() else []
        why = f"{file.parent} has {some(near)}" if near else f"{file.parent} has no .toml file"
        raise RecipeError("recipe.file-missing", f"there is no recipe at {file}", why, "filon init . --data YOUR_TABLE") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise RecipeError("recipe.unreadable", f"{file} cannot be read as text", str(exc), "save the recipe as UTF-8 text") from exc


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"line (\d+)", str(exc))
        line = text.splitlines()[int(found.group(1)) - 1].strip() if found and int(found.group(1)) <= len(text.splitlines()) else ""
        why = f"{exc}" + (f": {line}" if line else "")
        raise RecipeError(
            "recipe.not-toml", f"{file} is not valid TOML", why, "texts take quotes, lists take [ ]: see https://toml.io"
        ) from exc


def _override(written: dict[str, Any], one: str) -> None:
    key, equals, value = one.partition("=")
    if not equals or not key.strip():
        raise RecipeError("recipe.bad-set", f"--set {one} is not KEY=VALUE", "there is no '='", "--set search.metric=areaUnderROC")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *tables, last = key.strip().split(".")
    here = written
    for table in tables:
        here = here.setdefault(table, {})
        if not isinstance(here, dict):
            raise RecipeError(
                "recipe.bad-set", f"--set {one} goes through {table}, which is a value", f"{table} = {here!r}", "name a key of a table"
            )
    here[last] = parsed


def _translate(exc: ValidationError, path: str, text: str, written: Mapping[str, Any]) -> RecipeError:
    # a misspelt key is also a missing one, a number out of bounds also no word of another branch: the slip is what the user wants to hear
    first = min(exc.errors(), key=lambda error: (error["type"] != "extra_forbidden", not error["type"].startswith(("greater", "less"))))
    loc = tuple(str(part) for part in first["loc"])
    more = f" ({len(exc.errors()) - 1} more)" if len(exc.errors()) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = difflib.get_close_matches(loc[-1], known, n=1, cutoff=0.5)
        where = f"[{'.'.join(loc[:-1])}]" if loc[:-1] else "the recipe"
        fix = f"write {near[0]!r}" if near else f"remove it, or use one of {some(known, 12)}"
        return RecipeError(
            "recipe.unknown-key", f"{where} has no key {loc[-1]!r}{more}", f"it knows {some(known, 12)}", f"{fix}{_at(path, text, loc)}"
        )
    if first["type"] == "missing":
        return RecipeError(
            "recipe.key-missing", f"{'.'.join(loc)} is not given{more}", "it has no default", f"{loc[-1]} = ... {_at(path, text, loc[:-1])}"
        )
    key = ".".join(part for part in loc if not _is_branch(part))
    why = _given(str(first["msg"]).removeprefix("Value error, "), first.get("input"), _written_at(written, loc))
    return RecipeError(
        "recipe.bad-value",
        f"{key} has a value it cannot take{more}",
        why[:400],
        f"change {key}{_at(path, text, loc)}; `filon check` shows the whole recipe",
    )


def _given(said: str, given: Any, written: Any) -> str:
    """What is wrong with a value, and the value: as it was written where it was read from the environment."""
    if names_in(written):
        said = said.replace(str(given), str(written)) if str(given) else said
        given = written
    return said if isinstance(given, (Mapping, list, tuple)) else f"{said}; it is {given!r}"


def _written_at(written: Any, loc: Sequence[str]) -> Any:
    for part in (one for one in loc if not _is_branch(one)):
        if isinstance(written, Mapping):
            written = written.get(part)
        elif isinstance(written, (list, tuple)) and part.isdigit() and int(part) < len(written):
            written = written[int(part)]
        else:
            break
    return written


def _is_branch(part: str) -> bool:
    """Pydantic names the branch of a union in the location ("int", "tuple[int, ...]", "function-..."): no key of ours."""
    return bool(re.fullmatch(r"(int|float|str|bool|tuple\[.*|literal\[.*|constrained-.*|function-.*)", part))


def _known_keys(loc: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in loc:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        options = [annotation, *get_args(annotation)]
        inner = next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _at(path: str, text: str, loc: Sequence[str]) -> str:
    """Where the key stands: " (filon.toml, line 7)", or "" when it cannot be told."""
    table: tuple[str, ...] = ()
    keys = tuple(part for part in loc if not _is_branch(part))
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        if header:
            table = tuple(part.strip().strip('"') for part in header.group(1).split("."))
            if table == keys:
                return f" ({Path(path).name}, line {number})"
            continue
        name = re.match(r"\s*\"?([\w.-]+)\"?\s*=", line)
        if name and (*table, *name.group(1).split(".")) == keys[: len(table) + len(name.group(1).split("."))]:
            return f" ({Path(path).name}, line {number})"
    return f" ({Path(path).name})" if text else ""
