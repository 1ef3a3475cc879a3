"""The record of changes."""

import json
import multiprocessing
from pathlib import Path

import pytest

from filon.errors import RecipeError
from filon.lifecycle import promote, rollback
from filon.registry.ledger import Change, changes, keep, refuse_alias


def change(why: str) -> Change:
    return Change(did="promoted", model="bank", alias="champion", version="2", before="1", why=why, uri="http://x")


def test_every_change_says_who_when_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILON_USER", "ana")
    keep(tmp_path, change("primavera"))
    (line,) = changes(tmp_path)
    assert (line["who"], line["why"], line["before"]) == ("ana", "primavera", "1")
    assert line["at"].endswith("+00:00")


def _many(folder: Path, who: int) -> None:
    for number in range(20):
        keep(folder, change(f"{who}-{number}"))


def test_nothing_is_lost_when_several_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_many, args=(tmp_path, who)) for who in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    kept = [json.loads(line)["why"] for line in (tmp_path / "registry.jsonl").read_text().splitlines()]
    assert sorted(kept) == sorted(f"{who}-{number}" for who in range(3) for number in range(20))


def test_a_note_names_the_gates_that_failed() -> None:
    gates = ({"gate": "size", "passed": True}, {"gate": "champion", "passed": False})
    note = Change(did="promoted", model="m", alias="a", version="2", before="1", why="w", uri="u", gates=gates, forced=True).note()
    assert note["failed"] == ["champion"]


@pytest.mark.parametrize("alias", ["no such", "campeón", "", "latest", "LATEST", "7", "v7", "a/b"])
def test_a_name_that_means_a_version_or_that_mlflow_refuses_is_no_alias(alias: str) -> None:
    with pytest.raises(RecipeError, match=r"registry\.alias-unfit"):
        promote("latest", to=alias)
    with pytest.raises(RecipeError, match=r"registry\.alias-unfit"):
        rollback(alias=alias)


@pytest.mark.parametrize("alias", ["champion", "north-7", "v7b", "_"])
def test_other_names_are(alias: str) -> None:
    refuse_alias(alias)
