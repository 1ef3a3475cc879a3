"""A value of `${NAME}` is in nothing that a command prints or leaves, and the user reads `${NAME}` where it stood."""

import json
from pathlib import Path

import pytest

from filon.cli.group import main, run

RECIPE = """name = "bank"
[data]
source = "{source}"
label = "label"
[track]
uri = "http://me:${{FILON_TEST_WORD}}@127.0.0.1:9"
enabled = false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small table and a recipe that reads a password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FILON_TEST_WORD", "hunter2-and-more")
    monkeypatch.setenv("FILON_TEST_PASSWORD", "hunter2-again")
    (tmp_path / "t.csv").write_text("x,label\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(300)), encoding="utf-8")
    (tmp_path / "filon.toml").write_text(RECIPE.format(source="t.csv"), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_check_shows_what_was_written(words, capfd):
    assert run(["check", *words]) in (0, 1)
    said = "".join(capfd.readouterr())
    assert "hunter2" not in said
    assert "http://me:${FILON_TEST_WORD}@127.0.0.1:9" in said


def test_no_secret_is_written_for_terraform(folder, capfd):
    emr = '[places.emr]\nregion = "us-east-1"\nbucket = "s3://b/filon"\nconf = { "spark.x.password" = "${FILON_TEST_PASSWORD}" }\n'
    (folder / "filon.toml").write_text(RECIPE.format(source="t.csv") + emr, encoding="utf-8")
    assert run(["infra", "init"]) == 2
    assert "places.variable-secret" in capfd.readouterr().err
    assert not [path for path in folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]


@pytest.mark.parametrize("words", [[], ["--json"], ["--debug"]])
def test_an_error_its_traceback_and_the_record_of_a_failed_run_say_the_name(words, folder, capfd):
    (folder / "filon.toml").write_text(RECIPE.format(source="${FILON_TEST_WORD}/t.csv"), encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["train", *words])
    assert caught.value.code == 3
    said = "".join(capfd.readouterr())
    (manifest,) = folder.glob("runs/*/*/manifest.json")
    for text in (said, manifest.read_text(encoding="utf-8")):
        assert "hunter2" not in text
        assert "${FILON_TEST_WORD}/t.csv" in text
    assert ("Traceback" in said) == ("--debug" in words)
    assert json.loads(manifest.read_text(encoding="utf-8"))["error"]["code"] == "read.file-missing"
