"""Cells that fit no kind, in columns that only the recipe's SQL looks at."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.serve.conftest import ask
from tests.unit.serve.test_app import csv

import filon
from filon.errors import DataError
from filon.serve.app import App
from filon.serve.meters import Meters
from filon.serve.models import Models
from filon.serve.served import Served
from filon.serve.settings import Limits


def test_a_row_whose_date_is_none_is_set_aside_though_only_sql_looks_at_the_date(tmp_path: Path) -> None:
    days = [f"2024-{1 + at % 12:02d}-{1 + at % 28:02d}" for at in range(240)]
    lines = [f"{day},{at % 7},{'yes' if (at % 12 < 6) != (at % 5 == 0) else 'no'}" for at, day in enumerate(days)]
    (tmp_path / "t.csv").write_text("\n".join(["day,x,y", *lines]), encoding="utf-8")
    recipe = {
        "name": "t",
        "data": {"source": str(tmp_path / "t.csv"), "label": "y", "derive": {"month": "month(day)"}},
        "search": {"xgboost": {"num_round": 3, "max_depth": 2}},
        "track": {"enabled": False},
    }
    run = filon.train(recipe, runs=tmp_path / "runs")
    (tmp_path / "new.csv").write_text("day,x\n2024-02-01,1\nsoon,2\n31/02/2024,3\n,4\n", encoding="utf-8")
    written = filon.predict(run.path / "bundle", data=str(tmp_path / "new.csv"), out=str(tmp_path / "out.csv"))
    assert (written.rows, written.scored, written.rejected) == (4, 2, 2)
    assert written.reasons == {'"day" is not a date': 2}

    bundle = filon.load(run.path / "bundle")
    with pytest.raises(DataError, match=r"read\.derive-failed") as caught:
        bundle.predict([{"day": "2024-02-01", "x": 1}, {"day": " soon", "x": 2}])
    assert "'soon'" in caught.value.why
    meters = Meters()
    app = App(Models(Served(bundle, meters, threads=1)), meters, Limits(), token="")
    good = {"day": "2024-02-01T10:00:00+02:00", "x": 1}
    sent = [good, {"day": "soon", "x": 2}, {"day": "", "x": 3}, {"day": None, "x": 3}, {"day": "31/02/2024", "x": 4}, good]
    for body, kind in ((json.dumps(sent).encode(), "application/json"), (csv(pa.Table.from_pylist(sent)), "text/csv")):
        heard = ask(app, "POST", "/invocations", body, content_type=kind)
        codes = [row["error"]["code"] if "error" in row else "" for row in heard.json["predictions"]]
        assert codes == ["", "read.derive-failed", "", "", "read.derive-failed", ""]
    app.close()
