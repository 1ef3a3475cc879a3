"""Options that several commands share."""

import pytest
from click.testing import CliRunner

from filon.cli.cost import command as cost
from filon.cli.serve import command as serve


@pytest.mark.parametrize(
    ("command", "asked"),
    [(serve, ["b", "--timeout", "nan"]), (serve, ["b", "--timeout", "inf"]), (serve, ["b", "--capture-share", "nan"]), (cost, ["--deadline", "nan"])],
)
def test_a_number_that_is_none_is_refused_before_anything_begins(command, asked):
    done = CliRunner().invoke(command, asked)
    assert done.exit_code == 2
    assert "is not a finite number" in done.output
