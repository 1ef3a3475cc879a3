import re
import string
import tomllib
from pathlib import Path

import pytest
from tests.unit.check.looking import ANSWERS, SPREAD, found, looked

from filon.check.records import Finding
from filon.check.wording import finding, grouped, sql_name, toml_key, toml_list, toml_text, translate
from filon.errors import CODES

ERRORS = ("bad-set", "data-or-capture", "labels-unusable", "no-baseline", "no-rows", "no-time", "nothing-captured", "since-unreadable")
FOUND_LATER = (
    "search.trial-failed",
    *(code for code in CODES if code.startswith(("watch.", "rules.")) and code.partition(".")[2] not in (*ERRORS, "run-stopped")),
)
CHECK_CODES = [*(code for code in CODES if code.startswith("check.")), *FOUND_LATER]


def words(root: Path, lang: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((root / f"src/filon/pages/words/findings.{lang}.toml").read_text(encoding="utf-8"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("code", CHECK_CODES)
def test_every_code_has_its_lines(code: str, lang: str, root: Path) -> None:
    section = words(root, lang)[code.partition(".")[2]]
    assert set(section) == {"title", "what", "evidence", "fix"}


def test_every_section_is_a_code(root: Path) -> None:
    assert set(words(root, "en")) - {"grouped", "reasons"} == {code.partition(".")[2] for code in CHECK_CODES}


@pytest.mark.parametrize("code", CHECK_CODES)
def test_both_languages_say_the_same_facts(code: str, root: Path) -> None:
    name = code.partition(".")[2]
    english, spanish = words(root, "en")[name], words(root, "es")[name]
    for line in ("what", "evidence", "fix"):
        assert fields(english[line]) == fields(spanish[line])


def test_spanish_finding_has_the_same_facts_and_its_own_numbers() -> None:
    one = found(looked({"x": SPREAD * 40, "y": [*ANSWERS * 39, *[None] * 300]}), "check.label-missing")
    said = translate(one, "es")
    assert said.evidence == "300 de 12\u202f000 filas (2,5\u202f%)"
    assert one.evidence == "300 of 12,000 rows (2.5%)"
    assert (said.code, said.level, said.facts) == (one.code, one.level, one.facts)


def test_reasons_are_translated_too() -> None:
    one = found(looked({"x": SPREAD, "y": ANSWERS}), "check.positive-chosen")
    assert one.evidence == '"yes" (its name is the conventional one)'
    assert translate(one, "es").evidence == '"yes" (su nombre es el habitual)'


def test_group_is_translated() -> None:
    one = grouped("info", "check.constant", [f"c{place}" for place in range(30)])
    assert translate(one, "es").what == "30 columnas más: columnas constantes"
    assert one.evidence.endswith("and 20 more")


def test_code_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"check\.nothing"):
        finding("info", "check.nothing")


@pytest.mark.parametrize(
    "name", ["age", "Air temperature [K]", 'say "hi"', "it's", "both ' and \"", "Temperatura(°C)", "tab\there", "back\\slash"]
)
def test_written_names_are_read_back_by_toml(name: str) -> None:
    assert tomllib.loads(f"{toml_key(name)} = {toml_text(name)}") == {name: name}
    assert tomllib.loads(f"drop = {toml_list([name, 'b'])}") == {"drop": [name, "b"]}


def test_sql_names_are_quoted_when_they_must_be() -> None:
    assert [sql_name(name) for name in ("age", "Age", 'a"b', "1st")] == ["age", '"Age"', '"a""b"', '"1st"']


def test_fixes_of_findings_paste_into_a_recipe() -> None:
    table = {"x": SPREAD, "Air temperature [K]": [1] * 300, "status": ANSWERS, "y": ANSWERS}
    pasted = 0
    for one in looked(table).findings:
        for line in re.findall(r"(?:drop|allow|positive) = (?:\[[^\]]*\](?:[^;\]]*\])?|\"[^\"]*\")", one.fix):
            assert tomllib.loads(line)
            pasted += 1
    assert pasted >= 4


def test_finding_is_frozen() -> None:
    one = finding("info", "check.few-rows", rows=1, least=2, least_fix="1")
    assert isinstance(one, Finding)
    with pytest.raises(AttributeError):
        one.level = "blocker"  # type: ignore[misc]
