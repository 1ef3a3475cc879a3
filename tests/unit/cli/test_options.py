"""Options that several commands share."""

import pytest
from click.testing import CliRunner

from filon.cli.check import command as check
from filon.cli.compare import command as compare
from filon.cli.cost import command as cost
from filon.cli.evaluate import command as evaluate
from filon.cli.explain import command as explain
from filon.cli.predict import command as predict
from filon.cli.serve import command as serve
from filon.cli.watch import command as watch


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (serve, ["b", "--timeout", "nan"]),
        (serve, ["b", "--timeout", "inf"]),
        (serve, ["b", "--capture-share", "nan"]),
        (cost, ["--deadline", "nan"]),
    ],
)
def test_a_number_that_is_none_is_refused_before_anything_begins(command, asked):
    done = CliRunner().invoke(command, asked)
    assert done.exit_code == 2
    assert "is not a finite number" in done.output


@pytest.mark.parametrize("command", [evaluate, explain, predict, watch])
@pytest.mark.parametrize("asked", [["--master", "spark://head:7077"], ["--spark-conf", "spark.executor.memory=8g"]])
def test_who_names_a_cluster_is_not_answered_by_this_machine_alone(command, asked):
    words = ["b", "--data", "t.csv", *(["--out", "s.parquet"] if command is predict else []), *asked]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert "go with --engine spark" in done.output


@pytest.mark.parametrize("command", [evaluate, predict])
def test_a_place_takes_its_cluster_from_the_recipe(command):
    out = ["--out", "s.parquet"] if command is predict else []
    done = CliRunner().invoke(command, ["b", "--data", "t", *out, "--on", "spark", "--engine", "spark", "--master", "spark://head:7077"])
    assert done.exit_code == 2
    assert "[places.spark]" in done.output


def test_no_job_is_sent_in_the_place_of_a_stream():
    words = ["b", "--data", "s3://b/in", "--out", "s3://b/out", "--on", "emr", "--stream", "--checkpoint", "notes"]
    done = CliRunner().invoke(predict, words)
    assert done.exit_code == 2
    assert "sends a job that ends" in done.output


@pytest.mark.parametrize(("command", "words"), [(check, ["--html"]), (compare, ["latest", "latest", "--out"])])
def test_a_page_is_never_written_over_a_recipe_or_a_table(command, words, tmp_path):
    recipe = tmp_path / "filon.toml"
    recipe.write_text('name = "mine"')
    done = CliRunner().invoke(command, [*words, str(recipe)])
    assert done.exit_code == 2
    assert "does not end in .html" in done.output
    assert recipe.read_text() == 'name = "mine"'
