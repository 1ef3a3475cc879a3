"""The demo's table and recipe: what is written, what is kept, what is refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from filon import demo
from filon.errors import SetupError
from filon.recipe import load_recipe

FLIGHTS = """year,month,day,dep_delay,arr_delay,carrier,flight,origin,minute,time_hour
2013,1,1,2,31,UA,1545,EWR,15,2013-01-01T10:00:00Z
2013,1,1,4,30,UA,0714,LGA,29,2013-01-01T10:00:00Z
2013,1,1,NA,NA,AA,1141,EWR,40,2013-01-01T10:00:00Z
2013,1,1,9,-18,B6,725,JFK,45,2013-01-01T11:00:00Z
"""
WEATHER = """origin,year,month,day,hour,temp,time_hour
JFK,2013,1,1,6,39.0,2013-01-01T11:00:00Z
EWR,2013,1,1,5,NA,2013-01-01T10:00:00Z
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four flights as the package has them."""
    import zipfile

    data = tmp_path / "package"
    data.mkdir()
    with zipfile.ZipFile(data / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    (data / "weather.csv").write_text(WEATHER, encoding="utf-8")
    monkeypatch.setattr(demo, "_package_data", lambda: data)
    return data


def test_a_flight_is_late_past_thirty_minutes_and_has_the_weather_of_its_hour(package: Path) -> None:
    table = demo.flights_and_weather(package)
    assert table["late"].to_pylist() == [True, False, False], "the flight that never arrived is left out"
    assert table["flight"].to_pylist() == ["1545", "0714", "725"], "in the order of the package, as text"
    assert table["temp"].to_pylist() == [None, None, 39.0], "NA and an hour without weather are missing"
    assert not {"year", "minute", "hour", "row"} & set(table.column_names)


def test_the_package_has_the_flights_that_the_words_speak_of() -> None:
    table = demo.flights_and_weather(demo._package_data())
    assert table.shape == (327_346, 27)
    assert round(100 * pc.mean(table["late"].cast(pa.int8())).as_py(), 2) == 15.73


def test_the_recipe_is_one_and_an_edited_one_is_kept(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    recipe = demo.write_demo(folder, "es")
    assert load_recipe(recipe).recipe.evaluate.lang == "es"
    assert pq.read_table(folder / "flights.parquet").num_rows == 3
    assert load_recipe(demo.write_demo(folder)).recipe.evaluate.lang == "en", "nobody had edited it"
    mine = recipe.read_text(encoding="utf-8").replace("max_depth = 8", "max_depth = 6")
    recipe.write_text(mine, encoding="utf-8")
    demo.write_demo(folder, "es")
    assert recipe.read_text(encoding="utf-8") == mine


def test_a_folder_that_cannot_be_written_is_told_and_left_as_it_was(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError) as told:
        demo.write_demo(tmp_path / "file" / "demo")
    assert told.value.code == "run.not-writable"
    (tmp_path / "demo" / "flights.parquet").mkdir(parents=True)
    with pytest.raises(SetupError) as told:
        demo.write_demo(tmp_path / "demo")
    assert told.value.code == "run.not-writable"
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["flights.parquet"]
