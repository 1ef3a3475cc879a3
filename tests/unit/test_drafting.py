"""The first recipe finds its data again, wherever it is written."""

from pathlib import Path

import pytest

import filon
from filon.api import init
from filon.drafting import _name, _relative
from filon.errors import RecipeError


def test_a_recipe_in_a_folder_that_is_a_link_finds_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk" / "far" / "away").mkdir(parents=True)
    (tmp_path / "work").symlink_to(tmp_path / "disk" / "far" / "away")
    (tmp_path / "Peñarroya 2024.csv").write_text(
        "x,y\n" + "".join(f"{k * 7919 % 307},{'ab'[k % 2]}\n" for k in range(300)), encoding="utf-8"
    )
    (tmp_path / "newest.csv").symlink_to("Peñarroya 2024.csv")
    monkeypatch.chdir(tmp_path)
    for data in ("Peñarroya 2024.csv", str(tmp_path / "newest.csv"), "work/../../../newest.csv", "Pe*.csv"):
        made = init("work", data=data, force=True)
        looked = filon.check(made.path)
        assert looked.checked.profile.rows == 300
        assert str(looked.recipe["data"]["source"]).endswith(Path(data).name)


@pytest.mark.parametrize(
    ("data", "there", "said"),
    [
        ("s3://bucket/a.csv", "", "s3://bucket/a.csv"),
        ("delta:s3://bucket/sales@3", "", "delta:s3://bucket/sales@3"),
        ("delta:sales@12", "sales", "delta:../sales@12"),
        ("iceberg:prod.db.sales", "", "iceberg:prod.db.sales"),
        ("table:db.sales", "db.sales", "table:db.sales"),
    ],
)
def test_tables_of_a_lake_keep_their_names(data: str, there: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if there:
        Path(there).mkdir()
    assert _relative(data, Path("recipes")) == said


def test_a_name_is_made_of_plain_letters() -> None:
    assert [_name(data) for data in ("minas/Peñarroya año 2024.csv.gz", "año=2024/*.parquet", "delta:s3://b/ventas")] == [
        "penarroya-ano-2024",
        "table",
        "ventas",
    ]


def test_no_recipe_is_written_under_a_name_that_every_command_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,b\n2,c\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"recipe\.bad-value") as refused:
        init("made", data="t.csv", name="our model")
    assert "a name is 1 to 100 letters" in refused.value.why
    assert not (tmp_path / "made").exists()
