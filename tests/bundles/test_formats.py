"""A bundle of every format that was ever released still opens and still answers what it answered when it was sealed.

The folders beside this file are never edited: a new format adds one.
"""

from pathlib import Path

import numpy as np
import pytest

from filon.package import open_bundle, sealed

HERE = Path(__file__).parent
FORMATS = sorted(path for path in HERE.glob("format-*") if path.is_dir())


def test_there_is_one_of_every_format() -> None:
    assert [path.name for path in FORMATS] == [f"format-{number}" for number in range(1, sealed.FORMAT + 1)]


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.name)
def test_it_opens_and_answers_as_when_it_was_sealed(path: Path) -> None:
    bundle = open_bundle(path)
    golden = bundle.golden()
    expected = np.array(golden.column("filon:probability").to_pylist())
    answered = bundle.predict(golden)
    many = np.stack([answered.column(f"probability_{name}").to_numpy() for name in bundle.classes], axis=1)
    assert np.abs(many - expected).max() <= 1e-6
    rows = golden.select([column.name for column in bundle.inputs]).to_pylist()
    few = np.array([bundle.answer(row).probability for row in rows])
    assert np.abs(few - expected).max() <= 1e-6
