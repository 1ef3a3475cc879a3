"""The way back of an alias, on a real registry in a file."""

from pathlib import Path

import pytest
from tests.unit.track.conftest import RunFolder

from filon import lifecycle, runs
from filon.errors import BundleError, RecipeError, SetupError
from filon.track import Registry, TrackSettings, send

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


def test_a_run_that_is_done_is_sent_to_a_server_that_is_named_later(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "http://127.0.0.1:9", register_model=False)
    run.end()
    lifecycle.retrack(run.path, ["track.uri=sqlite:///moved.db", "track.register_model=true"])
    assert send(run.path).uri == f"sqlite:///{tmp_path}/moved.db"
    assert runs.read_manifest(run.path) == run.manifest | {  # nothing else of the record has changed
        "recipe": run.manifest["recipe"] | {"track": {"uri": "sqlite:///moved.db", "register_model": True}}
    }


@pytest.mark.parametrize(
    ("said", "code"),
    [("search.metric=f1", "recipe.bad-set"), ("track.uri", "recipe.bad-set"), ("track.uri=ftp://a", "recipe.bad-value")],
)
def test_of_a_run_that_is_done_only_where_its_records_go_can_change(tmp_path: Path, said: str, code: str) -> None:
    run = RunFolder(tmp_path, "sqlite:///mlflow.db")
    run.end()
    with pytest.raises(RecipeError) as caught:
        lifecycle.retrack(run.path, [said])
    assert caught.value.code == code
    assert runs.read_manifest(run.path) == run.manifest


def test_a_run_that_goes_on_keeps_its_record(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "sqlite:///mlflow.db")
    working = runs.RunFolder(path=run.path, manifest=run.manifest)
    working.take()
    try:
        with pytest.raises(SetupError) as caught:
            lifecycle.retrack(run.path, ["track.uri=sqlite:///moved.db"])
    finally:
        working.release()
    assert caught.value.code == "run.taken"


def test_an_alias_from_the_environment_is_asked_for_by_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILON_TEST_ALIAS", "latest")
    run = RunFolder(tmp_path, "sqlite:///mlflow.db", alias="${FILON_TEST_ALIAS}")
    run.end()
    with pytest.raises(RecipeError) as caught:
        lifecycle.ask_for_alias(run.path)
    assert caught.value.code == "recipe.bad-value"
    assert "taken for a version" in caught.value.why
    monkeypatch.setenv("FILON_TEST_ALIAS", "prod")
    with pytest.raises(BundleError):  # past the alias, to the bundle that this run does not have
        lifecycle.ask_for_alias(run.path)
