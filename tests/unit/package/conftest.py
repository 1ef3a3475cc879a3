"""Bundles sealed from a small table by the real engine, one per family and number of classes; made once, read by many tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.engines import open_engine
from filon.engines.base import Column, File, FitPlan, LabelPlan, Source, SplitPlan, Trial
from filon.package import Bundle, Contents, package

ROWS = 1500
SETTINGS = {
    "xgboost": {"num_round": 25, "max_depth": 4},
    "random_forest": {"numTrees": 60, "maxDepth": 8},
    "gbt": {"maxIter": 20, "maxDepth": 3},
    "logistic_regression": {"maxIter": 50},
}
COLUMNS = (
    Column(name="age", kind="number", stored="int32", whole=True),
    Column(name="Temperature (°C)", kind="number", stored="double"),
    Column(name="job", kind="category", stored="string"),
    Column(name="zip", kind="category", stored="int64"),
    Column(name="member", kind="boolean", stored="bool"),
    Column(name="month", kind="category", role="dropped", stored="string"),
    Column(name="customer", kind="text", role="key", stored="string"),
    Column(name="label", kind="category", role="label", stored="string"),
)
DERIVED = Column(name="month_number", kind="number", stored="BIGINT", sql="month(strptime(month, '%b'))")


def rows(count: int = ROWS, classes: int = 2, seed: int = 7) -> pa.Table:
    """A table with every kind of column, missing cells and a label that depends on all of them."""
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 90, count)
    heat = draw.normal(20, 8, count).round(1)
    job = draw.choice(["clerk", "miner", "nurse", "driver", "señor"], count, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    zip_code = draw.choice([28001, 33003, 4008], count)
    member = draw.random(count) < 0.4
    month = draw.choice(["Jan", "Jun", "Dec"], count)
    pull = (age - 50) / 20 + (heat - 20) / 8 + (job == "miner") * 1.5 - member + (month == "Jun") + draw.normal(0, 1, count)
    label = np.digitize(pull, [0.5] if classes == 2 else np.quantile(pull, np.arange(1, classes) / classes))
    holes = {name: draw.random(count) < 0.08 for name in ("age", "heat", "job", "member", "month")}
    return pa.table(
        {
            "age": pa.array(age, pa.int32(), mask=holes["age"]),
            "Temperature (°C)": pa.array(heat, mask=holes["heat"]),
            "job": pa.array(job, mask=holes["job"]),
            "zip": pa.array(zip_code),
            "member": pa.array(member, mask=holes["member"]),
            "month": pa.array(month, mask=holes["month"]),
            "customer": pa.array([f"c{number}" for number in range(count)]),
            "label": pa.array([f"class {number}" for number in label]),
        }
    )


def seal(
    folder: Path,
    family: str,
    classes: int = 2,
    *,
    derived: bool = False,
    table: pa.Table | None = None,
    columns: tuple[Column, ...] = (),
) -> Bundle:
    """Read, split, fit and seal in `folder`; `columns` where a table of one's own has others."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.parquet"
    pq.write_table(rows(classes=classes) if table is None else table, file)
    columns = columns or ((*COLUMNS, DERIVED) if derived else COLUMNS)
    files = (File(path=str(file), size_bytes=file.stat().st_size),)
    source = Source(format="parquet", files=files, dialect=None, columns=columns, origin=file.name)
    names = tuple(f"class {number}" for number in range(classes))
    plan = SplitPlan(
        shares=(0.7, 0.15, 0.15),
        seed=1,
        by="row",
        stratify=True,
        label=LabelPlan(column="label", classes=names),
        features=tuple(column for column in columns if column.role == "feature"),
    )
    with open_engine("embedded", scratch=folder / "scratch", threads=1, memory_mib=1024) as engine:
        read = engine.read(source)
        folds = engine.split(read, plan)
        (fitted,) = engine.fit(folds, [Trial(number=1, family=family, settings=SETTINGS[family], seed=3)], FitPlan(valid=False))
        assert fitted.ensemble is not None, fitted.error
        report = folder / "report"
        report.mkdir(exist_ok=True)
        (report / "EVALUATION_REPORT.md").write_text("# Report\n", encoding="utf-8")
        contents = Contents(
            name="small",
            columns=read.source.columns,
            encoding=folds.encoding,
            label="label",
            ensemble=fitted.ensemble,
            threshold=0.4 if classes == 2 else None,
            baseline={"rows": ROWS},
            report=report,
            run={"run_id": "small/1"},
        )
        return package(contents, engine.sample(read, 64, per_class=8), engine, folder / "bundle")


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bundle]:
    """`sealed(family, classes=2, derived=False)`: a bundle that tests read and never change."""
    made: dict[tuple[object, ...], Bundle] = {}

    def get(family: str = "xgboost", classes: int = 2, *, derived: bool = False) -> Bundle:
        key = (family, classes, derived)
        if key not in made:
            made[key] = seal(tmp_path_factory.mktemp("bundle"), family, classes, derived=derived)
        return made[key]

    return get
