"""Write the pages that the code already knows: the recipe's reference and schema, the commands, the list of decisions.

python docs/generate.py            writes them
python docs/generate.py --check    says which are out of date, and exits 1
"""

import json
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

DOCS = Path(__file__).resolve().parent
MADE = "<!-- Made by docs/generate.py from the code: change it there. -->\n\n"
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def pages() -> dict[Path, str]:
    """Every generated file with its text."""
    return {
        DOCS / "reference" / "recipe.md": recipe_page(),
        DOCS / "reference" / "commands.md": commands_page(),
        DOCS / "recipe.schema.json": schema_text(),
        DOCS / "decisions.md": decisions_page(),
    }


def schema_text() -> str:
    """The recipe as JSON Schema, for editors and other programs."""
    from filon.recipe import Recipe

    schema = Recipe.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Filon recipe (filon.toml)"}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def recipe_page() -> str:
    """All settings, table by table, in the order of the file."""
    from filon.recipe import Recipe

    parts = [
        MADE,
        "# The recipe, key by key\n\n",
        "Everything but `name`, `data.source` and `data.label` has a default. Unknown keys are refused with the nearest known one. ",
        "`filon check` prints the whole effective recipe. An editor that knows JSON Schema completes and checks a recipe with ",
        "[recipe.schema.json](../recipe.schema.json): put `#:schema recipe.schema.json` in its first line. ",
        "`${NAME}` in any text reads an environment variable; `--set table.key=value` overrides one value.\n",
    ]
    for table, model in tables("", Recipe):
        parts.append(f"\n## {f'`[{table}]`' if table else 'Top of the file'}\n\n{first_paragraph(model)}\n\n")
        rows = [row(name, field) for name, field in model.model_fields.items() if not inner(field.annotation)]
        if rows:
            parts.append("| key | takes | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows))
        else:
            parts.append("Only the tables below.\n")
    return "".join(parts)


def tables(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables of a recipe with their settings, outer before inner."""
    yield name, model
    for key, field in model.model_fields.items():
        below = inner(field.annotation)
        if below:
            yield from tables(f"{name}.{key}".strip("."), below)


def inner(annotation: Any) -> type[BaseModel] | None:
    """The settings of a table, also of an optional one."""
    options = [annotation, *get_args(annotation)]
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def first_paragraph(model: type[BaseModel]) -> str:
    """A model's own words."""
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def row(name: str, field: FieldInfo) -> str:
    """One key as a line of a Markdown table."""
    takes = ", ".join([kind(field.annotation), *bounds(field.metadata)])
    default = "**needed**" if field.is_required() else f"`{toml(field.get_default(call_default_factory=True))}`"
    cells = (f"`{name}`", takes, "" if default == "``" else default, field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"


def bounds(metadata: Iterable[Any]) -> list[str]:
    """What a number may be, sign by sign."""
    every = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    return [f"{sign} {value:g}" for item in every for key, sign in BOUNDS if (value := getattr(item, key, None)) is not None]


def kind(annotation: Any) -> str:
    """A type in the words of a recipe's writer."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{kind(arguments[0])} {', '.join(bounds(arguments[1:]))}".strip()
    if origin is Literal:
        return ", ".join(f"`{toml(value)}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(one) for one in arguments if one is not type(None)))
    if origin is tuple:
        one = get_args(arguments[0])[0] if get_origin(arguments[0]) is Annotated else arguments[0]
        return "a list" if get_origin(one) in (Literal, Union, types.UnionType) else f"a list of {plural(kind(one))}"
    if origin is dict:
        return "a table of names"
    return PLAIN.get(annotation, str(annotation))


def plural(word: str) -> str:
    """The plural of our few words."""
    return word if word.endswith(("e", "`", "g")) else f"{word}s"


def toml(value: Any) -> str:
    """A default as it would stand in the file; nothing for what is absent."""
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)


def commands_page() -> str:
    """Every command with its help, in story order."""
    from filon.cli.group import filon

    context = click.Context(filon, info_name="filon", terminal_width=100)
    shared = "Every command takes `--json` (one machine-readable line a step, the result last) and `--debug` (tracebacks)."
    parts = [MADE, f"# Commands\n\n{shared}\n\n", EXIT_CODES]
    parts.append(f"\n## filon\n\n```text\n{filon.get_help(context)}\n```\n")
    for name in filon.list_commands(context):
        command = filon.get_command(context, name)
        assert command is not None, f"filon {name} is listed but cannot be found"
        below = click.Context(command, info_name=name, parent=context, terminal_width=100)
        parts.append(f"\n## filon {name}\n\n```text\n{command.get_help(below)}\n```\n")
    return "".join(parts)


EXIT_CODES = """\
| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | a finding stops here: the data, not the program, must change |
| 2 | the recipe or the command's words must change |
| 3 | the data cannot be read as they are named |
| 4 | the machine lacks something: a package, a folder, space, a server |
| 5 | the computation failed |
| 6 | a place (cluster, cloud) refused or failed |
| 7 | the bundle is damaged, too new, or not one |
| 70 | a bug of ours |
| 130 | you stopped it (Ctrl-C) |
"""


def decisions_page() -> str:
    """Choices that are hard to undo, with their first lines."""
    parts = [MADE, "# Decisions\n\nChoices that are hard to undo, each on a page that says what was not chosen.\n\n"]
    for page in sorted((DOCS / "adr").glob("[0-9]*.md")):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        parts.append(f"- [{title}](adr/{page.name})\n")
    return "".join(parts)


def main(words: list[str]) -> int:
    """Write, or say what is out of date."""
    made = pages()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in words:
        for path in stale:
            print(f"out of date: {path.relative_to(DOCS.parent)} (python docs/generate.py writes it)")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
