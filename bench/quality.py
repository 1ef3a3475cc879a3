"""Quality on real data: the default search against stock boosters and FLAML, on the same folds of thirteen public tables.

    python bench/quality.py --flaml VENV/bin/python                 all tables, three splits each, written into docs/benchmarks.md
    python bench/quality.py --tables titanic,mushroom --seeds 0     some tables, one split
    python bench/quality.py --report                                the page again, from what was measured before

Every contender answers for the test fold that `split` made (or the publisher gave), after training on the training and validation folds as
Filon encodes them: `xgboost.XGBClassifier()` with its categories, scikit-learn's `HistGradientBoostingClassifier()` with its categories
(those of more than 255 as numbers), and FLAML (`metric=roc_auc`) for sixty seconds, by the python of an environment of its own, which
holds "flaml[automl]". Filon's time is the whole of reading, checking, splitting, searching and refitting; the peers' is their fit. Each
measurement runs in a process of its own and is kept in FILON_BENCH (or /tmp/filon-bench), with the CPU seconds it got and the load of
the machine: on a busy machine FLAML gets less than its sixty seconds are worth, and the page says so.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # cores that wait by spinning starve whoever else is measured

from quality_tables import REFERENCES, TABLES, recipe

FOLDER = Path(os.environ.get("FILON_BENCH", "/tmp/filon-bench")) / "quality"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
HEADING = "## Quality on real data"
CONTENDERS = ("filon", "xgboost", "histgb", "flaml")
TITLES = {"filon": "Filon", "xgboost": "XGBoost", "histgb": "HistGradientBoosting", "flaml": "FLAML 60 s"}


def folds_of(name: str, seed: int, engine: Any) -> tuple[Any, Any]:
    """Read, check and split one table: its recipe and its folds."""
    from filon import pipeline
    from filon.events import silence
    from filon.read import read
    from filon.recipe import recipe_from
    from filon.split import split

    file = recipe_from(recipe(name, seed), Path.cwd())
    made = file.recipe
    table = engine.read(read(made.data, file.base, silence))
    checked, test = pipeline.look(file, table, engine, silence)
    if checked.blockers:
        raise SystemExit(f"{name}: {checked.blockers[0]}")
    most = made.check.max_categories * 10
    balance = made.search.balance
    return made, split(table, checked, made.split, made.data, balance, engine, test_source=test, max_categories=most)


def run_filon(name: str, seed: int) -> dict[str, Any]:
    """The default search, from the file to the refitted model."""
    from filon.engines import open_engine
    from filon.evaluate.metrics import value
    from filon.fit import fit
    from filon.search import search

    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch, open_engine("embedded", scratch=Path(scratch)) as engine:
        made, folds = folds_of(name, seed, engine)
        choice = search(folds, made.search, engine, seed=seed, keep=lambda *_: None)
        fitted = fit(folds, choice, engine)
        seconds = time.monotonic() - began
        tally = engine.tally(engine.score(folds.open_test("benchmark"), fitted.ensemble, folds.encoding))[()]
        return {
            "auc": value(tally, "areaUnderROC"),
            "accuracy": value(tally, "accuracy"),
            "seconds": seconds,
            "winner": f"{choice.winner.family}, {max(1, len(choice.members))} averaged, {fitted.ensemble.trees} trees",
        }


def export(name: str, seed: int) -> Path:
    """The folds as Filon made them, for the peers: encoded features f0 ..., `label`, `test`."""
    target = FOLDER / f"{name}-{seed}.parquet"
    if target.exists():
        return target
    import pyarrow as pa
    import pyarrow.parquet as pq

    from filon.engines import open_engine

    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch, open_engine("embedded", scratch=Path(scratch)) as engine:
        _, folds = folds_of(name, seed, engine)
        parts = []
        for test, fold in ((False, folds.fold("train", "valid")), (True, folds.open_test("export for the benchmark"))):
            rows = engine.sample(fold, fold.rows).drop_columns(["weight"])
            columns = [*(f"f{place}" for place in range(len(folds.encoding.features))), "label"]
            parts.append(rows.rename_columns(columns).append_column("test", pa.array([test] * rows.num_rows)))
        whole = pa.concat_tables(parts)
        kinds = {f"f{place}": feature.kind for place, feature in enumerate(folds.encoding.features)}
        beside = target.with_suffix(".part")
        pq.write_table(whole.replace_schema_metadata({"kinds": json.dumps(kinds)}), beside)
        beside.rename(target)
    return target


def peer_rows(path: Path, most_categories: int | None = None) -> tuple[Any, Any, Any, Any]:
    """Training and test rows as pandas frames with their category columns, and the labels."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    kinds = json.loads((table.schema.metadata or {})[b"kinds"])
    frame = table.to_pandas()
    y, test = frame.pop("label").to_numpy(), frame.pop("test").to_numpy()
    for name, kind in kinds.items():
        levels = frame[name].nunique()
        if kind == "category" and (most_categories is None or levels <= most_categories):
            frame[name] = frame[name].map(lambda code: None if code != code else f"v{int(code)}").astype("category")
    return frame[~test].reset_index(drop=True), y[~test], frame[test].reset_index(drop=True), y[test]


def run_peer(who: str, path: Path, seed: int, budget_s: int) -> dict[str, Any]:
    """One peer, in the process at hand."""
    train, y, test, y_test = peer_rows(path, 255 if who == "histgb" else None)
    classes = len(set(y.tolist()))
    model: Any
    if who == "xgboost":
        import xgboost

        model = xgboost.XGBClassifier(enable_categorical=True)
    elif who == "histgb":
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(categorical_features="from_dtype")
    else:
        from flaml import AutoML

        model = AutoML()
    began = time.monotonic()
    if who == "flaml":
        metric = "roc_auc" if classes == 2 else "roc_auc_ovr"
        model.fit(X_train=train, y_train=y, task="classification", metric=metric, time_budget=budget_s, seed=seed, verbose=0)
    else:
        model.fit(train, y)
    seconds = time.monotonic() - began
    return {**judged(model.predict_proba(test), y_test), "seconds": seconds, "winner": str(getattr(model, "best_estimator", ""))}


def judged(probability: Any, label: Any) -> dict[str, float]:
    """areaUnderROC (many classes: the mean of one against the rest) and accuracy, by scikit-learn."""
    from sklearn.metrics import roc_auc_score

    classes = probability.shape[1]
    areas = [roc_auc_score(label == number, probability[:, number]) for number in ([1] if classes == 2 else range(classes))]
    return {"auc": float(sum(areas) / len(areas)), "accuracy": float((probability.argmax(1) == label).mean())}


def measure(who: str, name: str, seed: int, budget_s: int, python: str) -> dict[str, Any]:
    """One measurement in a process of its own, or what it gave before."""
    kept = FOLDER / f"{who}-{name}-{seed}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    command = [python, __file__, "--one", who, "--tables", name, "--seeds", str(seed), "--flaml-seconds", str(budget_s)]
    if who != "filon":
        export(name, seed)
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        raise SystemExit(f"{who} on {name}, split {seed}:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    found["cpu_s"] = after.children_user + after.children_system - before.children_user - before.children_system
    found["load"] = os.getloadavg()[0]
    kept.write_text(json.dumps(found))
    print(
        f"{name:16s} split {seed}  {TITLES[who]:22s} auc {found['auc']:.4f}  accuracy {found['accuracy']:.4f}  {found['seconds']:.1f} s",
        flush=True,
    )
    return dict(found)


def mean(values: Sequence[float]) -> float:
    """The plain mean."""
    return sum(values) / len(values)


def table_of(results: dict[tuple[str, str], list[dict[str, Any]]]) -> list[str]:
    """The lines of the page: by table the mean over its splits, time beside score, and the mean rank."""
    here = [who for who in CONTENDERS if any(key[0] == who for key in results)]
    names = [name for name in TABLES if all((who, name) in results for who in here)]
    lines = ["| table | " + " | ".join(f"{TITLES[who]} | s" for who in here) + " | against the better stock booster | reference |"]
    lines.append("| --- |" + " --: | --: |" * len(here) + " --: | --- |")
    ranks: dict[str, list[float]] = {who: [] for who in here}
    for name in names:
        auc = {who: mean([one["auc"] for one in results[who, name]]) for who in here}
        for who in here:
            ranks[who].append(
                1
                + sum(auc[other] > auc[who] + 5e-5 for other in here)
                + 0.5 * sum(abs(auc[other] - auc[who]) <= 5e-5 for other in here if other != who)
            )
        cells = [f"{auc[who]:.4f} | {mean([one['seconds'] for one in results[who, name]]):.1f}" for who in here]
        stock = [auc[who] for who in ("xgboost", "histgb") if who in auc]
        against = f"{auc['filon'] - max(stock):+.4f}" if stock and "filon" in auc else ""
        lines.append(f"| {name} ({len(results[here[0], name])}) | " + " | ".join(cells) + f" | {against} | {_reference(name, results)} |")
    lines.append("| **mean rank** | " + " | ".join(f"**{mean(ranks[who]):.2f}** |" for who in here) + " | |")
    return lines


def _reference(name: str, results: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    if name not in REFERENCES or ("filon", name) not in results:
        return ""
    metric, wanted = REFERENCES[name]
    ours = mean([one["auc" if metric == "areaUnderROC" else "accuracy"] for one in results["filon", name]])
    return f"{metric} {wanted:g}: {ours:.4f}"


def page(results: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """The section of docs/benchmarks.md."""
    flaml = [one["cpu_s"] for (who, _), ones in results.items() if who == "flaml" for one in ones]
    slowest = max(one["seconds"] for (who, _), ones in results.items() if who == "filon" for one in ones)
    loads = [one["load"] for ones in results.values() for one in ones]
    notes = [
        "`python bench/quality.py --flaml VENV/bin/python`: areaUnderROC on the test fold (many classes: one against the rest),",
        "the mean over as many splits as stand in brackets, all contenders on the same folds and encoded features; seconds of wall time.",
        f"Filon's longest run took {slowest:.0f} s. The load of the machine was {min(loads):.1f} to {max(loads):.1f}"
        + (f"; FLAML got {min(flaml):.0f} to {max(flaml):.0f} CPU seconds." if flaml else "."),
    ]
    return "\n".join([HEADING, "", *notes, "", *table_of(results), ""])


def write_page(section: str) -> None:
    """Put the section in its place, other sections untouched."""
    before, _, rest = PAGE.read_text().partition(HEADING)
    after = rest[rest.find("\n## ") :] if "\n## " in rest else "\n"
    PAGE.write_text(before.rstrip() + "\n\n" + section.rstrip() + "\n" + after)


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--tables", default=",".join(TABLES), help="names, by commas")
    parse.add_argument("--seeds", default="0,1,2", help="seeds of the split, by commas")
    parse.add_argument("--flaml", default="", help="the python that has flaml; left out: no FLAML")
    parse.add_argument("--flaml-seconds", type=int, default=60)
    parse.add_argument("--report", action="store_true", help="write the page from what was measured")
    parse.add_argument("--one", default="", help=argparse.SUPPRESS)
    args = parse.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    names, seeds = args.tables.split(","), [int(seed) for seed in args.seeds.split(",")]
    if args.one:
        make: Callable[[], dict[str, Any]] = (
            (lambda: run_filon(names[0], seeds[0]))
            if args.one == "filon"
            else (lambda: run_peer(args.one, FOLDER / f"{names[0]}-{seeds[0]}.parquet", seeds[0], args.flaml_seconds))
        )
        print(json.dumps(make()))
        return
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name in names:
        for seed in seeds[:1] if name in ("landsat", "higgs-small") else seeds:  # the publisher's test fold is one
            for who in CONTENDERS:
                kept = FOLDER / f"{who}-{name}-{seed}.json"
                if (who == "flaml" and not args.flaml and not kept.exists()) or (args.report and not kept.exists()):
                    continue
                python = args.flaml if who == "flaml" else sys.executable
                results.setdefault((who, name), []).append(measure(who, name, seed, args.flaml_seconds, python))
    section = page(results)
    print(section)
    if args.report or set(names) == set(TABLES):
        write_page(section)


if __name__ == "__main__":
    main()
