"""MLlib is asked for under a family, and only the Spark engine has it."""

from pathlib import Path

import pytest

import filon
from filon.errors import RecipeError

RECIPE = """
name = "x"
[data]
source = "nothing.csv"
label = "y"
[search.{family}]
library = "mllib"
"""


@pytest.mark.parametrize("family", ["random_forest", "gbt"])
def test_mllib_on_the_embedded_engine_is_refused_before_anything_is_read(family: str, tmp_path: Path) -> None:
    (tmp_path / "filon.toml").write_text(RECIPE.format(family=family), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        filon.train(tmp_path / "filon.toml")
    assert caught.value.code == "engines.mllib-embedded"
    assert "--engine spark" in caught.value.fix
    assert not (tmp_path / "runs").exists()
