"""Cells that fit no kind, in columns that only the recipe's SQL looks at."""

from pathlib import Path

import filon


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
