"""A training on a cluster whose machines share nothing with this one but the work folder: run by test_cluster_train.py.

python -m tests.spark.apart FOLDER: FOLDER holds t.csv, test.csv, recipe.toml, features.py and python.tar.gz (an archived
environment); prints the folder of the run as one line of JSON.
"""

import json
import os
import sys
from pathlib import Path

import filon

APART = "/proc/self/cwd"
"""Another folder in every process: a disk that the workers do not share with us."""


def main(folder: Path) -> None:
    """As `filon train recipe.toml --engine spark` in that folder."""
    os.chdir(folder)
    os.environ["FILON_SCRATCH"] = str(folder / "scratch")
    run = filon.train("recipe.toml", engine="spark", runs=folder / "runs", base=APART)
    print(json.dumps({"run": str(run.path)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
