"""The documentation says what the code does: generated pages are current, examples are recipes, commands are the ones of CI."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("README*.md")])
DESIGN = """
name = "bank-deposit"
[data]
source   = "data/bank.csv"
label    = "deposit"
positive = "yes"
key      = []
drop     = ["duration"]
columns  = { day = "category" }
[data.derive]
month_number = "month(strptime(month, '%b'))"
[check]
min_rows = 200
max_missing = 0.95
[split]
train = 0.70
valid = 0.15
test  = 0.15
seed  = 42
by    = "row"
stratify = true
[search]
metric  = "areaUnderPR"
balance = "weights"
[search.random_forest]
numTrees = [200, 400, 600]
maxDepth = [10, 14, 18]
maxBins  = [64, 128]
featureSubsetStrategy = ["sqrt", "log2"]
[search.gbt]
maxDepth = [6, 8, 10]
maxBins  = [64, 128]
maxIter  = [100, 200]
stepSize = [0.05, 0.1, 0.2]
[search.xgboost]
max_depth = [4, 6, 8]
eta       = [0.05, 0.1, 0.2]
num_round = 400
[search.budget]
minutes = 5
[track]
uri = "sqlite:///mlflow.db"
experiment = "bank-deposit"
[places.emr]
region = "us-east-1"
bucket = "s3://my-bucket/filon"
"""


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "recipe.schema.json").read_text(encoding="utf-8"))
    return found


def blocks(language: str) -> list[tuple[str, str]]:
    """Code blocks of a language on all pages, with the page's name."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
    return [(path.name, text) for path in PAGES for text in fence.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", list(generator().pages()), ids=lambda path: path.name)
def test_generated_page_is_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generator().pages()[page], "python docs/generate.py writes it"


def test_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_schema_takes_the_recipe_of_the_design() -> None:
    jsonschema.validate(tomllib.loads(DESIGN), schema())


def test_schema_refuses_what_the_recipe_refuses() -> None:
    written = tomllib.loads(DESIGN)
    written["search"]["metrics"] = "areaUnderPR"
    with pytest.raises(jsonschema.ValidationError, match="metrics"):
        jsonschema.validate(written, schema())


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_recipes_on_the_pages_are_recipes(page: str, text: str) -> None:
    from filon.recipe import recipe_from

    written = tomllib.loads(text)
    data = {"source": "t.csv", "label": "y", **written.get("data", {})}
    environment = {"MLFLOW_USER": "u", "MLFLOW_PASSWORD": "p"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert recipe_from({"name": "example", **written, "data": data}, ROOT).recipe.data.label, page


def test_what_the_pages_let_through_is_a_blocker() -> None:
    explained = re.split(r"^## (\S+)\n", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    meaning = dict(zip(explained[::2], explained[1::2], strict=True))
    allowed = {code for _, text in blocks("toml") for code in tomllib.loads(text).get("check", {}).get("allow", ())}
    assert allowed
    assert [code for code in allowed if not meaning[code].startswith("A blocker")] == []


def test_the_page_on_searching_says_what_the_default_search_tries() -> None:
    from filon.search.default import TIERS

    text = " ".join((ROOT / "docs" / "howto" / "search.md").read_text(encoding="utf-8").split())
    assert f"{len(TIERS[0].tried)} settings of boosted trees (`xgboost`) on small tables" in text
    assert f"fewer as the table grows and {len(TIERS[-1].tried)} on the largest" in text
    assert f"up to {max(tier.most_cells for tier in TIERS if tier.linear):,} cells" in text
    assert [len(tier.tried) for tier in TIERS] == sorted((len(tier.tried) for tier in TIERS), reverse=True)


def test_pages_name_only_commands_that_exist() -> None:
    from filon.cli.stories import COMMANDS

    lines = [line.strip() for language in ("bash", "console") for _, text in blocks(language) for line in text.splitlines()]
    named = {found[1] for line in lines if (found := re.match(r"(?:.*/)?filon ([a-z][a-z-]*)", line))}
    assert named
    assert named <= set(COMMANDS)


def test_every_page_is_in_the_table_of_contents() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert [page for page in pages if page not in nav and not page.startswith("adr/")] == []  # decisions.md links to those


def test_ci_ends_with_the_test_command_of_the_readme() -> None:
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert last.startswith("pytest")
    for readme in ROOT.glob("README*.md"):
        assert f".venv/bin/{last}" in readme.read_text(encoding="utf-8"), readme.name
