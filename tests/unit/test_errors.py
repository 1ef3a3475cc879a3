"""Codes: one per event, each explained on one page, none forgotten."""

import pickle
import re
from pathlib import Path

import pytest

from filon import errors
from filon.errors import CODES, FilonError

FAMILIES = sorted(FilonError.__subclasses__(), key=lambda family: family.__name__)


def sections(root: Path) -> dict[str, str]:
    """Headings of docs/errors.md and the text under each."""
    parts = re.split(r"^## (.+)$", (root / "docs/errors.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def sources(root: Path) -> str:
    """All of src but errors.py, where the codes are only listed."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "src").rglob("*.py")) if path.name != "errors.py")


def test_codes_are_the_headings_of_the_page(root: Path) -> None:
    assert sorted(sections(root)) == sorted(CODES)


def test_codes_and_headings_are_in_alphabetical_order(root: Path) -> None:
    assert list(CODES) == sorted(CODES)
    assert list(sections(root)) == sorted(sections(root))


def test_no_code_is_listed_twice() -> None:
    assert len(set(CODES)) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_code_says_room_and_event(code: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z0-9]+(-[a-z0-9]+)*", code)


@pytest.mark.parametrize("code", CODES)
def test_page_explains_the_code_in_a_few_lines(code: str, root: Path) -> None:
    text = sections(root)[code]
    assert 60 <= len(text) <= 1500, "what it means, why it happens, what to do"
    assert text.endswith((".", "```"))


@pytest.mark.parametrize("code", CODES)
def test_code_is_used_by_the_source(code: str, root: Path) -> None:
    assert f'"{code}"' in sources(root), "a code that nothing raises"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_error_survives_pickling_between_processes(family: type[FilonError]) -> None:
    error = family("bug.unexpected", "what", "why", "fix")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is family
    assert (again.code, again.what, again.why, again.fix) == ("bug.unexpected", "what", "why", "fix")


def test_exit_codes_of_the_families_are_the_published_ones() -> None:
    published = {"RecipeError": 2, "DataError": 3, "SetupError": 4, "EngineError": 5, "PlaceError": 6, "BundleError": 7}
    assert {family.__name__: family.exit_code for family in FAMILIES} == published
    assert FilonError.exit_code == 70
    assert errors.FINDING_EXIT == 1


def test_message_has_three_lines_in_the_users_order() -> None:
    assert str(FilonError("bug.unexpected", "a", "b", "c")) == "error[bug.unexpected] a\n  why  b\n  fix  c"
