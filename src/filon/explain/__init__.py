"""Why does the model answer so? Exact contributions, of all features and of single rows, and partial dependence.

1. `explain(bundle, data, engine)` : the `Explained`, and a table of contributions row by row.
2. `write_explained(folder, explained, table, lang)` : explain.html, explain.json and contributions.parquet.
"""

from filon.explain.explaining import explain
from filon.explain.records import Dependence, Explained, RowReasons
from filon.explain.writing import write_explained

__all__ = ["Dependence", "Explained", "RowReasons", "explain", "write_explained"]
