"""Every text exists in both languages, with the same places to fill, and nothing is asked for that is not there."""

import ast
import re
from string import Formatter

import pytest

from filon.errors import some
from filon.pages.words import FOLDER, Words, texts

PAGES = sorted({path.name.split(".")[0] for path in FOLDER.glob("*.toml")})
TEMPLATES = sorted((FOLDER.parent / "templates").glob("*.j2"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_keys_and_places(page):
    english, spanish = texts(page, "en"), texts(page, "es")
    assert set(english) == set(spanish)
    assert {key for key in english if fields(english[key]) != fields(spanish[key])} == set()


@pytest.mark.parametrize("page", PAGES)
def test_no_text_is_left_in_the_other_language(page):
    english, spanish = texts(page, "en"), texts(page, "es")
    same = {
        key
        for key in english
        if english[key] == spanish[key] and len(re.findall(r"[a-z]{3,}", re.sub(r"\{.*?\}|`.*?`", "", english[key]))) > 3
    }
    assert same == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_ask_only_for_texts_that_exist(template):
    page = template.name.split(".")[0]
    known = texts(page if page in PAGES else "report", "en")
    asked = re.findall(r"""\bt(?:\.rich)?\(\s*["']([a-z0-9_.-]+)["']\s*[,)]""", template.read_text(encoding="utf-8"))
    counted = re.findall(r"""\bt\.many\(\s*["']([a-z0-9_.-]+)["']""", template.read_text(encoding="utf-8"))
    assert [key for key in asked if key not in known] == []
    assert [key for key in counted if f"{key}.one" not in known or f"{key}.many" not in known] == []


TU = re.compile(
    r"\b(tú|tus?|te|ti|contigo|tuy[oa]s?|puedes|quieres|debes|necesitas|preguntas|tienes|elijas|haz|ten cuidado|fíate"
    r"|(?:muéve|corríge|añáde|quíta|sáca|agrúpa|déja|úne|míra|úsa|pónt?|búsca|cámbia)(?:l[oae]s?|te|me)\w*)\b",
    re.IGNORECASE,
)
BIDDING = re.compile(
    r"(?:^|[.:;] |, [oy] |, )(mira|espera|pulsa|elige|nombra|quita|trae|añade|juzga|pon|saca|conserva|corrige|usa|escribe"
    r"|agrupa|declara|revisa|entrena|busca|deriva|baja|sube|toma|prueba con|haz|ten)\b",
    re.IGNORECASE,
)
"""The familiar register: the product says usted (docs/adr/0140). `BIDDING` are its commands, where a clause begins (elsewhere they are the
third person), asked of texts that tell the reader what to do."""

OTHER_NAMES = re.compile(r"\b(pliegues?|parte de prueba|faltantes?|ausentes?|modelo sellado|pruebas? fallidas?)\b", re.IGNORECASE)
"""One thing has one name: partición, dato que falta or sin dato, paquete, ensayo (prueba is the test fold)."""


@pytest.mark.parametrize("page", PAGES)
def test_spanish_says_usted_and_calls_each_thing_by_one_name(page):
    said = {key: text for key, text in texts(page, "es").items() if TU.search(text) or BIDDING.search(text) or OTHER_NAMES.search(text)}
    assert said == {}


@pytest.mark.parametrize("path", ["README.es.md", "docs/es/primera-hora.md"])
def test_spanish_pages_say_usted_too(path):
    text = (FOLDER.parents[3] / path).read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|`.*?`", "", text, flags=re.DOTALL)
    assert TU.findall(prose) == []
    assert OTHER_NAMES.findall(prose) == []


def test_a_list_of_examples_is_said_in_the_language_of_the_page():
    listed = some(["trial 3, xgboost: out of memory", "x (row 7)", "z"], most=2)
    assert Words("en").some(listed) == listed
    assert Words("es").some(listed) == '"ensayo 3, xgboost: out of memory", "x (fila 7)" y 1 más'


def said_by(path):
    """Every f-string that a module's functions return or name `why`, with 7 for its figures."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Return, ast.Assign)) and isinstance(node.value, ast.JoinedStr):
            yield "".join(
                str(one.value) if isinstance(one, ast.Constant) else "train" if ast.unparse(one.value) == "side" else "7"
                for one in node.value.values
            )


def test_what_a_rule_says_of_a_trial_is_said_in_spanish_too():
    rules = FOLDER.parents[1] / "rules"
    said = [text for name in ("curve.py", "watcher.py") for text in said_by(rules / name)]
    assert len(said) >= 6
    for text in said:
        english = set(re.findall(r"[a-z]{3,}", text))
        assert not english & set(re.findall(r"[a-z]{3,}", Words("es").some(text))), Words("es").some(text)


def test_marked_text_is_escaped_before_it_is_marked():
    assert Words.mark("**<b>** and `a&b`") == "<strong>&lt;b&gt;</strong> and <code>a&amp;b</code>"


def test_counts_choose_their_text():
    words = Words("es", "report")
    assert words.many("search.trials", 1) == "1 ensayo"
    assert words.many("search.trials", 2000, shown="2000") == "2000 ensayos"
