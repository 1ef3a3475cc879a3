"""`[track]` of a recipe."""

import pytest
from pydantic import ValidationError

from filon.track import TrackSettings


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "http://mlflow:5000", "https://mlflow.example", "postgresql+psycopg2://a@b/c"])
def test_uris_of_mlflow_are_taken(uri: str) -> None:
    assert TrackSettings.model_validate({"uri": uri}).uri == uri


@pytest.mark.parametrize("uri", ["mlflow.db", "mlruns", "ftp://server", ""])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(ValidationError, match=r"sqlite:///file\.db"):
        TrackSettings.model_validate({"uri": uri})


def test_a_model_is_registered_under_the_recipes_name_another_or_not() -> None:
    found = [TrackSettings.model_validate({"register_model": value}).register_model for value in (True, False, "bank")]
    assert found == [True, False, "bank"]


@pytest.mark.parametrize("alias", ["latest", "v7", "7", "a b", "campeón", ""])
def test_an_alias_that_could_never_be_set_is_refused_before_the_training(alias: str) -> None:
    with pytest.raises(ValidationError, match="choose another name"):
        TrackSettings.model_validate({"alias": alias})


@pytest.mark.parametrize("name", ["a/b", "a:b", " "])
def test_a_name_that_no_registered_model_has_is_refused_before_the_training(name: str) -> None:
    with pytest.raises(ValidationError, match="MLflow takes a name without"):
        TrackSettings.model_validate({"register_model": name})
