"""The way back of an alias, on a real registry in a file."""

from pathlib import Path

import pytest

from filon import lifecycle
from filon.errors import RecipeError
from filon.track import Registry, TrackSettings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow and SQLAlchemy warn about themselves

RECIPE = """name = "bank"
[data]
source = "bank.csv"
label = "deposit"
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions of one model."""
    (tmp_path / "filon.toml").write_text(RECIPE, encoding="utf-8")
    found = Registry(TrackSettings(), tmp_path, "bank")
    found._client.create_registered_model("bank")
    for _ in range(3):
        found._client.create_model_version("bank", (tmp_path / "bundle").as_uri())
    return found


def move(registry: Registry, number: str) -> None:
    """As `promote` does once the gates are passed."""
    note = {"path": lifecycle._path(registry.pointed("champion"), "champion")}
    registry.point("champion", registry.version(number), note)


def back(tmp_path: Path, to: str | None = None) -> str:
    return lifecycle.rollback(tmp_path / "filon.toml", to=to, why="test").version


def test_rollback_goes_back_along_the_way_that_was_come(registry: Registry, tmp_path: Path) -> None:
    for number in ("1", "2", "1", "3", "2"):
        move(registry, number)
    assert [back(tmp_path) for _ in range(2)] == ["3", "1"]
    move(registry, "3")
    assert [back(tmp_path) for _ in range(3)] == ["1", "2", "1"]
    with pytest.raises(RecipeError, match="no version to go back to"):
        back(tmp_path)
    for number in ("2", "3"):
        move(registry, number)
    assert back(tmp_path, to="1") == "1"  # further back at once
    with pytest.raises(RecipeError, match="no version to go back to"):
        back(tmp_path)
    move(registry, "2")
    assert back(tmp_path, to="3") == "3"  # where it never was: forward, so there is a way back
    assert [back(tmp_path) for _ in range(2)] == ["2", "1"]
    registry.point("champion", registry.version("2"), {"before": "1"})  # the note of an earlier Filon
    move(registry, "3")
    assert [back(tmp_path) for _ in range(2)] == ["2", "1"]
