import pytest
from pydantic import ValidationError

from filon.check.settings import CheckSettings


def test_code_of_a_finding_may_be_allowed() -> None:
    assert CheckSettings(allow=("check.leak-perfect",)).allow == ("check.leak-perfect",)


def test_misspelt_code_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"did you mean 'check\.leak-perfect'"):
        CheckSettings(allow=("check.leak-prefect",))
