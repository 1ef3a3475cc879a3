"""Which Spark, Python and XGBoost go together."""

import re

import pytest
from tests.conftest import ROOT

from filon.errors import RecipeError, SetupError
from filon.places.lanes import LANES, Versions, differences, find_lane, nearest_lane, own_versions, require_lane


def test_what_these_tests_run_with_is_a_lane() -> None:
    assert require_lane(own_versions()).name


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.name)
def test_every_lane_takes_its_own_versions(lane) -> None:
    for python in lane.pythons:
        assert differences(Versions(spark=lane.spark, python=python, xgboost="3.2.0"), lane) == ()


@pytest.mark.parametrize(
    ("spark", "python", "xgboost", "lane", "why"),
    [
        ("3.5.6", "3.9", "3.2.0", "emr-7.13.0", "Python 3.9 is not 3.11"),
        ("3.5.6", "3.12", "3.2.0", "emr-7.13.0", "Python 3.12 is not 3.11"),
        ("3.5.6", "3.11", "3.3.0", "emr-7.13.0", "XGBoost 3.3.0 is not older than 3.3"),
        ("4.0.2", "3.11", "3.3.1", "emr-spark-8.0.0", "XGBoost 3.3.1 is not older than 3.3"),
        ("3.4.1", "3.11", "3.2.0", "emr-7.13.0", "Spark 3.4.1 is not 3.5"),
        ("4.1.4", "3.14", "3.2.0", "spark-4.1", "Python 3.14 is not 3.11 or 3.12 or 3.13"),
    ],
)
def test_a_combination_outside_is_refused_with_the_nearest_lane(spark, python, xgboost, lane, why) -> None:
    with pytest.raises(SetupError) as caught:
        require_lane(Versions(spark=spark, python=python, xgboost=xgboost))
    assert caught.value.code == "places.outside-lane"
    assert lane in caught.value.fix
    assert why in caught.value.why


def test_newer_xgboost_goes_with_newer_python() -> None:
    assert require_lane(Versions(spark="4.0.2", python="3.12", xgboost="3.4.0"), "emr-spark-8.0.0").name == "emr-spark-8.0.0"


def test_patch_releases_go_together() -> None:
    assert nearest_lane(Versions(spark="4.1.9", python="3.11", xgboost="3.2.0")).name == "spark-4.1"


def test_an_unknown_lane_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError) as caught:
        find_lane("emr-7.12.0")
    assert (caught.value.code, caught.value.fix) == ("places.lane-unknown", "--lane emr-7.13.0")


def test_environments_are_for_a_python_that_filon_takes() -> None:
    oldest = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert oldest
    assert all(tuple(map(int, one.split("."))) >= tuple(map(int, oldest.groups())) for lane in LANES for one in lane.pythons)


def test_wheel_tags_go_from_the_newest_c_library_down() -> None:
    tags = find_lane("emr-7.13.0").platforms()
    assert tags[0] == "manylinux_2_34_x86_64"
    assert "manylinux_2_28_x86_64" in tags
    assert "manylinux2014_x86_64" in tags
