"""The recipe file: defaults, overrides, and errors that name key, line and remedy."""

import tomllib
import traceback
from pathlib import Path

import pytest

from filon.errors import RecipeError
from filon.recipe import load_recipe, recipe_from, to_toml

SMALL = 'name = "bank"\n[data]\nsource = "bank.csv"\nlabel = "deposit"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "filon.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_three_keys_are_enough(tmp_path):
    recipe = load_recipe(write(tmp_path, SMALL)).recipe
    assert (recipe.split.train, recipe.split.valid, recipe.split.test, recipe.split.seed) == (0.70, 0.15, 0.15, 42)
    assert recipe.search.metric == "areaUnderPR"
    assert recipe.search.balance == "weights"


def test_the_example_of_the_design_is_understood(tmp_path):
    text = SMALL + (
        'positive = "yes"\ndrop = ["duration"]\n'
        'columns = { day = "category" }\n[data.derive]\nmonth_number = "month(strptime(month, \'%b\'))"\n'
        "[search.random_forest]\nnumTrees = [200, 400, 600]\n"
        'featureSubsetStrategy = ["sqrt", "log2"]\n[search.gbt]\nstepSize = [0.05, 0.1]\n'
        '[places.emr]\nregion = "us-east-1"\n'
    )
    recipe = load_recipe(write(tmp_path, text)).recipe
    assert recipe.data.columns == {"day": "category"}
    assert recipe.search.random_forest is not None
    assert recipe.search.random_forest.numTrees == (200, 400, 600)
    assert recipe.places.emr.region == "us-east-1"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (SMALL + "[split]\nsed = 3\n", "recipe.unknown-key", "write 'seed' (filon.toml, line 6)"),
        (SMALL.replace("label", "lable"), "recipe.unknown-key", "label"),
        ('name = "bank"\n[data]\nsource = "bank.csv"\n', "recipe.key-missing", "data.label"),
        (SMALL + '[split]\nseed = "many"\n', "recipe.bad-value", "split.seed"),
        (SMALL + "[split]\ntrain = 1.7\n", "recipe.bad-value", "(filon.toml, line 6)"),
        (SMALL + "[search.budget]\nminutes = inf\n", "recipe.bad-value", "search.budget.minutes"),
        (SMALL + "[search.random_forest]\nnumTrees = [100, 'x']\n", "recipe.bad-value", "search.random_forest.numTrees"),
        (SMALL + "[search]\nmetric = 'auc'\n", "recipe.bad-value", "search.metric"),
        ("name = bank\n", "recipe.not-toml", "line 1"),
        (SMALL.replace('"bank"', '"../bank"'), "recipe.bad-value", "name"),
        (SMALL + '[track]\nuri = "${FILON_NO_SUCH_VARIABLE}"\n', "recipe.variable-missing", "FILON_NO_SUCH_VARIABLE"),
    ],
)
def test_a_slip_is_named_with_its_place(tmp_path, text, code, says):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    assert caught.value.code == code
    assert says in str(caught.value)


def test_missing_recipe_offers_what_is_there(tmp_path):
    write(tmp_path, SMALL)
    with pytest.raises(RecipeError, match=r"filon\.toml") as caught:
        load_recipe(tmp_path / "flion.toml")
    assert caught.value.code == "recipe.file-missing"


@pytest.mark.parametrize(
    ("one", "where", "value"),
    [
        ("search.metric=areaUnderROC", ("search", "metric"), "areaUnderROC"),
        ("split.seed=7", ("split", "seed"), 7),
        ("search.budget.trials=5", ("search", "budget"), None),
        ('data.drop=["duration","day"]', ("data", "drop"), ("duration", "day")),
    ],
)
def test_set_overrides_one_value(tmp_path, one, where, value):
    recipe = load_recipe(write(tmp_path, SMALL), [one]).recipe
    found = getattr(getattr(recipe, where[0]), where[1])
    assert found.trials == 5 if value is None else found == value


@pytest.mark.parametrize("one", ["search.metric", "name.first=3", "=3"])
def test_a_bad_set_is_told(tmp_path, one):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, SMALL), [one])
    assert caught.value.code == "recipe.bad-set"


def test_secrets_are_read_but_never_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKING", "https://user:secret@host")  # pragma: allowlist secret
    file = load_recipe(write(tmp_path, SMALL + '[track]\nuri = "${TRACKING}"\n'))
    assert file.recipe.track.uri == "https://user:secret@host"  # pragma: allowlist secret
    assert "secret" not in str(file.written)
    assert file.written["track"]["uri"] == "${TRACKING}"


SECRETS = SMALL + (
    '[track]\nuri = "http://me:${FILON_TEST_WORD}@host/x"\ntags = { team = "${FILON_TEST_TEAM}" }\n'
    '[places.spark]\nconf = { "spark.hadoop.fs.s3a.secret.key" = "${FILON_TEST_WORD}" }\n'
)


@pytest.fixture
def words(monkeypatch):
    monkeypatch.setenv("FILON_TEST_WORD", "hunter2/and@more")
    monkeypatch.setenv("FILON_TEST_TEAM", "ours")


@pytest.mark.usefixtures("words")
def test_what_is_shown_names_variables_as_they_were_written(tmp_path):
    file = load_recipe(write(tmp_path, SECRETS), ['data.drop=["${FILON_TEST_TEAM}", "b"]'])
    assert file.recipe.data.drop == ("ours", "b")
    assert file.effective["data"]["drop"] == ["${FILON_TEST_TEAM}", "b"]
    assert file.effective["track"] == {**file.recipe.track.model_dump(), **file.written["track"]}
    for shown in (to_toml(file), repr(file), str(file.effective)):
        assert "hunter2" not in shown
        assert "ours" not in shown
    again = recipe_from(tomllib.loads(to_toml(file)), tmp_path)
    assert again.recipe == file.recipe


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ('[track]\nuri = "${FILON_TEST_BAD}"\n', "ftp://me:pw@host", "'${FILON_TEST_BAD}'"),  # pragma: allowlist secret
        ('[split]\nseed = "${FILON_TEST_BAD}"\n', "s3cr", "'${FILON_TEST_BAD}'"),
        ('[search]\nmetric = "${FILON_TEST_BAD}"\n', "a-secret-word", "'${FILON_TEST_BAD}'"),
        ('[search.random_forest]\nnumTrees = [100, "${FILON_TEST_BAD}"]\n', "s3cr", "valid integer"),
    ],
)
def test_a_bad_value_from_the_environment_is_quoted_as_it_was_written(tmp_path, monkeypatch, text, value, why):
    monkeypatch.setenv("FILON_TEST_BAD", value)
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, SMALL + text))
    assert caught.value.code == "recipe.bad-value"
    assert why in caught.value.why
    assert value not in "".join(traceback.format_exception(caught.value))  # so not with --debug either


def test_effective_recipe_reads_back_as_itself(tmp_path):
    file = load_recipe(write(tmp_path, SMALL + "[search.xgboost]\neta = [0.1, 0.2]\n"))
    again = recipe_from(tomllib.loads(to_toml(file)), tmp_path)
    assert again.recipe == file.recipe


def test_equal_recipes_have_equal_fingerprints_and_others_do_not(tmp_path):
    path = write(tmp_path, SMALL)
    assert load_recipe(path).fingerprint == load_recipe(path).fingerprint
    assert load_recipe(path).fingerprint != load_recipe(path, ["split.seed=7"]).fingerprint


def test_a_bom_before_the_recipe_is_no_matter(tmp_path):
    path = tmp_path / "filon.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_recipe(path).recipe.name == "bank"


def test_an_empty_expression_is_refused_where_it_stands(tmp_path):
    path = tmp_path / "filon.toml"
    path.write_text('name = "a"\n[data]\nsource = "t.csv"\nlabel = "y"\n[data.derive]\nrate = " "\n')
    with pytest.raises(RecipeError, match=r"recipe\.bad-value") as told:
        load_recipe(path)
    assert told.value.why.startswith("a derived column has a name and an expression; 'rate'")
