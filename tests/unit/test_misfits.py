"""Cells that fit no kind, in a column that only the recipe's SQL looks at: told wherever rows are scored."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.serve.conftest import ask
from tests.unit.serve.test_app import csv

import filon
from filon.errors import DataError
from filon.package import Bundle
from filon.serve.app import App
from filon.serve.meters import Meters
from filon.serve.models import Models
from filon.serve.served import Served
from filon.serve.settings import Limits


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Its one derived column calculates with `day`, which is no feature itself."""
    folder = tmp_path_factory.mktemp("dated")
    days = [f"2024-{1 + at % 12:02d}-{1 + at % 28:02d}" for at in range(240)]
    lines = [f"{day},{at % 7},{'yes' if (at % 12 < 6) != (at % 5 == 0) else 'no'}" for at, day in enumerate(days)]
    (folder / "t.csv").write_text("\n".join(["day,x,y", *lines]), encoding="utf-8")
    recipe = {
        "name": "t",
        "data": {"source": str(folder / "t.csv"), "label": "y", "derive": {"month": "month(day)"}},
        "search": {"xgboost": {"num_round": 3, "max_depth": 2}},
        "track": {"enabled": False},
    }
    return filon.load(filon.train(recipe, runs=folder / "runs").path / "bundle")


def test_predict_sets_the_row_aside(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("day,x\n2024-02-01,1\nsoon,2\n31/02/2024,3\n,4\n", encoding="utf-8")
    written = filon.predict(bundle.path, data=str(tmp_path / "new.csv"), out=str(tmp_path / "out.csv"))
    assert (written.rows, written.scored, written.rejected) == (4, 2, 2)
    assert written.reasons == {'"day" is not a date': 2}


def test_the_bundle_refuses_the_frame(bundle: Bundle) -> None:
    with pytest.raises(DataError, match=r"read\.derive-failed") as caught:
        bundle.predict([{"day": "2024-02-01", "x": 1}, {"day": " soon", "x": 2}])
    assert "'soon'" in caught.value.why


def test_the_server_refuses_the_row_and_answers_the_others(bundle: Bundle) -> None:
    meters = Meters()
    app = App(Models(Served(bundle, meters, threads=1)), meters, Limits(), token="")
    good = {"day": "2024-02-01T10:00:00+02:00", "x": 1}
    sent = [good, {"day": "soon", "x": 2}, {"day": "", "x": 3}, {"day": None, "x": 3}, {"day": "31/02/2024", "x": 4}, good]
    for body, kind in ((json.dumps(sent).encode(), "application/json"), (csv(pa.Table.from_pylist(sent)), "text/csv")):
        heard = ask(app, "POST", "/invocations", body, content_type=kind)
        codes = [row["error"]["code"] if "error" in row else "" for row in heard.json["predictions"]]
        assert codes == ["", "read.derive-failed", "", "", "read.derive-failed", ""]
    app.close()
