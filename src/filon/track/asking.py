"""`python -m filon.track.asking MODEL ROWS`: what `mlflow.pyfunc` answers to the rows of a Parquet file, as JSON on the last line."""

import json
import sys


def ask(model: str, rows: str) -> list[list[float]]:
    """Probability by class of every row, in order."""
    import pyarrow.parquet as pq
    from mlflow import pyfunc

    frame = pq.read_table(rows).to_pandas()
    answer = pyfunc.load_model(model).predict(frame)
    names = [name for name in answer.columns if str(name).startswith("probability_")]
    found: list[list[float]] = answer[names].to_numpy().tolist()
    return found


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], sys.argv[2])))
