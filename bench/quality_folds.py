"""The default search by the protocol of the published references: mean areaUnderROC over the ten folds that OpenML gives out.

    python bench/quality_folds.py --tables german-credit,bank-full --catboost PYTHON

Each fold is scored by a model trained on the nine others (85 % of them to fit, 15 % to validate). `--catboost` is a Python that has
catboost and pandas: its classifier with default settings is scored on the same folds, a yardstick for how a published figure was come
by, since arXiv 2402.03970 gives one for it too.
"""

import argparse
import csv
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from openml_folds import FOLDS, outer
from quality_tables import DATA, REFERENCES, TABLES, recipe

CATBOOST = {"german-credit": 0.811, "bank-full": 0.9389}
"""Published for CatBoost's default settings (arXiv 2402.03970, table 11)."""

YARDSTICK = """
import json, sys
import pandas
from catboost import CatBoostClassifier
train, test, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
first, second = (pandas.read_csv(path, **given["read"]) for path in (train, test))
label = first.columns[given["label"]]
features = [name for name in first.columns if name != label]
texts = [name for name in features if not pandas.api.types.is_numeric_dtype(first[name])]
model = CatBoostClassifier(verbose=0, cat_features=texts, thread_count=2, allow_writing_files=False)
model.fit(first[features], first[label].astype(str) == given["positive"])
score = model.predict_proba(second[features])[:, 1]
truth = (second[label].astype(str) == given["positive"]).to_numpy()
order = pandas.Series(score).rank().to_numpy()
print((order[truth].sum() - truth.sum() * (truth.sum() + 1) / 2) / (truth.sum() * (~truth).sum()))
"""


def lines_of(name: str) -> tuple[list[str], list[str], list[str], int]:
    """Header (empty when the file has none), lines, their labels, and the place of the label's column."""
    table = TABLES[name]
    path = DATA / str(table["source"])
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        lines = [line.rstrip("\n") for line in file if line.strip()]
    given = table.get("csv", {})
    separator = given.get("separator") or csv.Sniffer().sniff(lines[0]).delimiter
    headed = given.get("header", True)
    names = next(csv.reader([lines[0]], delimiter=separator)) if headed else list(given["names"])
    body = lines[1:] if headed else lines
    place = names.index(table["label"])
    return lines[:1] if headed else [], body, [row[place] for row in csv.reader(body, delimiter=separator)], place


def one(name: str, train: Path, test: Path) -> float:
    """areaUnderROC on one outer fold."""
    from filon import pipeline
    from filon.engines import open_engine
    from filon.evaluate.metrics import value
    from filon.events import silence
    from filon.fit import fit
    from filon.read import read
    from filon.recipe import recipe_from
    from filon.search import search
    from filon.split import split

    written: dict[str, Any] = recipe(name, 0)
    written["data"]["source"] = str(train)
    written["split"] = {"seed": 0, "test_source": str(test)}
    file = recipe_from(written, Path.cwd())
    made = file.recipe
    with tempfile.TemporaryDirectory() as scratch, open_engine("embedded", scratch=Path(scratch)) as engine:
        table = engine.read(read(made.data, file.base, silence))
        checked, given = pipeline.look(file, table, engine, silence)
        folds = split(
            table,
            checked,
            made.split,
            made.data,
            made.search.balance,
            engine,
            test_source=given,
            max_categories=made.check.max_categories * 10,
        )
        choice = search(folds, made.search, engine, seed=0, keep=lambda *_: None)
        fitted = fit(folds, choice, engine)
        assert fitted.ensemble is not None
        found = value(engine.tally(engine.score(folds.open_test("benchmark"), fitted.ensemble, folds.encoding))[()], "areaUnderROC")
        assert found is not None
        return found


def yardstick(python: str, name: str, train: Path, test: Path, place: int) -> float:
    """areaUnderROC of CatBoost's default settings."""
    given = TABLES[name].get("csv", {})
    read = {"sep": given.get("separator") or csv.Sniffer().sniff(train.read_text().splitlines()[0]).delimiter}
    if not given.get("header", True):
        read["header"] = None
    said = {"read": read, "label": place, "positive": str(TABLES[name]["positive"])}
    done = subprocess.run([python, "-c", YARDSTICK, train, test, json.dumps(said)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """One line a table, as Markdown."""
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--tables", default="german-credit,bank-full")
    parse.add_argument("--catboost", default="", help="a Python that has catboost and pandas")
    given = parse.parse_args()
    print("| table | Filon | standard error | published | CatBoost's defaults, here | published | seconds a fold |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for name in given.tables.split(","):
        header, body, labels, place = lines_of(name)
        folds, found, theirs, seconds = outer(labels), [], [], 0.0
        with tempfile.TemporaryDirectory() as folder:
            for number in range(FOLDS):
                train, test = Path(folder) / f"train{number}.csv", Path(folder) / f"test{number}.csv"
                for path, chosen in ((train, folds != number), (test, folds == number)):
                    path.write_text("\n".join([*header, *(body[row] for row in np.flatnonzero(chosen))]) + "\n")
                began = time.monotonic()
                found.append(one(name, train, test))
                seconds += time.monotonic() - began
                if given.catboost:
                    theirs.append(yardstick(given.catboost, name, train, test, place))
                print(f"{name} fold {number}: {found[-1]:.4f} {theirs[-1:]}", file=sys.stderr, flush=True)
        error = statistics.stdev(found) / FOLDS**0.5
        beside = f"{statistics.mean(theirs):.4f} | {CATBOOST[name]:g}" if theirs else "- | -"
        ours = f"{statistics.mean(found):.4f} | {error:.4f} | {REFERENCES[name][1]:g}"
        print(f"| {name} | {ours} | {beside} | {seconds / FOLDS:.0f} |", flush=True)


if __name__ == "__main__":
    main()
