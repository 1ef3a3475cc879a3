"""What spark-submit runs: our own command line, in the process that spark-submit makes (here, or on a machine of the cluster).

It is a file of its own because spark-submit takes a path; nothing else of the package is needed to start it.
"""

import json
import os
import runpy
import sys


def main() -> None:
    """Say who we are, then be `filon`."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not loaded for two lines
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != folder]  # noqa: PTH100 - its files are no top-level modules
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # a pipe, and somebody listens
    print(json.dumps({"launcher": {"pid": os.getpid(), "python": sys.version.split()[0]}}))
    runpy.run_module("filon", run_name="__main__", alter_sys=True)  # `python -m filon`


if __name__ == "__main__":
    main()
