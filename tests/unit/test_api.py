"""What `import filon` gives."""

import subprocess
import sys

import pytest

import filon

FUNCTIONS = ("check", "evaluate", "load", "predict", "submit", "train")


@pytest.mark.parametrize("before", ["", "import filon.check, filon.evaluate, filon.pipeline", "import filon.api"])
def test_functions_stay_functions_when_rooms_of_their_name_are_imported(before: str) -> None:
    asked = f"import filon\n{before}\nprint([name for name in {FUNCTIONS} if callable(getattr(filon, name))])"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(list(FUNCTIONS))


def test_a_name_that_is_not_there_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = filon.trian  # type: ignore[attr-defined]
