"""The help of every command, kept as text: a change of words is seen in the diff (`just golden` rewrites them)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from filon.cli.stories import COMMANDS

Compare = Callable[[str, str], None]


def filon(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, on a terminal 100 columns wide."""
    command = [sys.executable, "-c", "import sys; from filon.cli import main; main(sys.argv[1:])", *words]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_help_of_filon_is_the_golden_one(golden: Compare) -> None:
    shown = filon("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    golden("help/filon.txt", shown.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_command_is_the_golden_one(name: str, golden: Compare) -> None:
    shown = filon(name, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Example:" in shown.stdout
    assert "--json" in shown.stdout
    assert "--debug" in shown.stdout
    golden(f"help/{name}.txt", shown.stdout)


def test_every_golden_help_belongs_to_a_command(root: Path) -> None:
    folder = root / "tests" / "golden" / "help"
    assert {path.stem for path in folder.glob("*.txt")} == {"filon", *COMMANDS}


def test_a_misspelt_command_offers_the_nearest_one(golden: Compare) -> None:
    shown = filon("trian")
    assert shown.returncode == 2
    golden("misspelt-command.txt", shown.stderr)


def test_an_unknown_option_is_answered_in_one_breath(golden: Compare) -> None:
    shown = filon("train", "--nonsense")
    assert shown.returncode == 2
    golden("unknown-option.txt", shown.stderr)
