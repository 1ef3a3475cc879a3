"""Every text exists in both languages, with the same places to fill, and nothing is asked for that is not there."""

import re
from string import Formatter

import pytest

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


def test_marked_text_is_escaped_before_it_is_marked():
    assert Words.mark("**<b>** and `a&b`") == "<strong>&lt;b&gt;</strong> and <code>a&amp;b</code>"


def test_counts_choose_their_text():
    words = Words("es", "report")
    assert words.many("search.trials", 1) == "1 ensayo"
    assert words.many("search.trials", 2000, shown="2000") == "2000 ensayos"
