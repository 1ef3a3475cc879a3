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
