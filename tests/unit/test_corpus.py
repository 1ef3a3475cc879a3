"""Every bad table of the corpus ends in the code it should, with a fix, and nothing but Filon's own errors comes out."""

from pathlib import Path

import pytest
from tests.corpus import CASES, Bad

from filon.check import Finding
from filon.engines import open_engine
from filon.errors import CODES, FilonError
from filon.events import silence
from filon.pipeline import look
from filon.read import read
from filon.recipe import RecipeFile, load_recipe
from filon.split.split import split


def test_the_corpus_is_large_and_its_names_and_codes_are_good() -> None:
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.code for case in CASES} <= set(CODES)


def params(kind: str) -> list[object]:
    found = [case for case in CASES if case.kind == kind]
    return [pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else []) for case in found]


def findings(folder: Path) -> tuple[Finding, ...]:
    """As far as `filon train` goes before it fits."""
    file = load_recipe(folder)
    data = file.recipe.data
    with open_engine("embedded", scratch=folder / "scratch", threads=1) as engine:
        table = engine.read(read(data, file.base))
        checked, _ = look(file, table, engine, silence)
        if not checked.blockers:
            _split(file, table, checked, engine)
    return checked.findings


def _split(file: RecipeFile, table: object, checked: object, engine: object) -> None:
    split(table, checked, file.recipe.split, file.recipe.data, file.recipe.search.balance, engine)  # type: ignore[arg-type]


def prepared(case: Bad, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in case.environment:
        monkeypatch.setenv(name, value)
    case.write(folder)


@pytest.mark.parametrize("case", params("error"))
def test_an_error_is_coded_and_says_what_to_do(case: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(case, tmp_path, monkeypatch)
    before = {path for path in tmp_path.rglob("*") if "scratch" not in path.parts}
    with pytest.raises(FilonError) as told:
        findings(tmp_path)
    assert told.value.code == case.code, told.value
    assert told.value.fix
    assert len(told.value.why) < 1000
    assert {path for path in tmp_path.rglob("*") if "scratch" not in path.parts} - before == set()
    assert not list((tmp_path / "scratch").rglob("*")), "the scratch folder is not left behind"


@pytest.mark.parametrize("case", params("finding"))
def test_a_finding_has_its_level_and_a_fix(case: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(case, tmp_path, monkeypatch)
    found = [one for one in findings(tmp_path) if one.code == case.code]
    assert found, f"nobody said {case.code}"
    assert {one.level for one in found} == {case.level}
    assert all(one.fix for one in found)
