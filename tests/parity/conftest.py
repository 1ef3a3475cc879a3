"""Each test of this folder runs once per engine, against a truth worked out by hand or in plain numpy and pandas."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.spark.conftest import pytest_collection_modifyitems, spark_session

from filon.check import check
from filon.check.settings import CheckSettings
from filon.engines import open_engine
from filon.engines.base import Engine, Folds, LabelPlan
from filon.engines.settings import SparkSettings
from filon.read import read
from filon.read.settings import DataSettings
from filon.split import SplitSettings, split

__all__ = ["pytest_collection_modifyitems", "spark_session"]

ENGINES = ["embedded", pytest.param("spark", marks=pytest.mark.spark)]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "spark":
        request.getfixturevalue("spark_session")
    over = SparkSettings(strategy="cluster")  # one task would do it as the embedded engine does: tests/spark/test_alone.py
    with open_engine(request.param, scratch=tmp_path_factory.mktemp("scratch"), spark=over) as computing:
        yield computing


@pytest.fixture(scope="session")
def folds_of(engine: Engine) -> Callable[..., Folds]:
    """From a source on disk to folds, as the pipeline does it."""

    def make(source: Path | str, *, data: dict[str, Any] | None = None, balance: Any = "weights", **settings: Any) -> Folds:
        wanted = DataSettings(source=str(source), label="y", **(data or {}))
        table = engine.read(read(wanted, Path.cwd()))
        checked = check(engine.profile(table, LabelPlan(column="y")), table.source, CheckSettings(), wanted)
        return split(table, checked, SplitSettings(**settings), wanted, balance, engine)

    return make
