"""Print the floors that pyproject.toml declares as pins, so that CI can show they are true."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
wanted = [*project["dependencies"], *(line for extra in ("cpu", "demo", "aws", "serve") for line in extras[extra])]
for line in wanted:
    found = re.match(r"([\w-]+)(?:\[[^\]]*\])?>=([\w.]+)", line)
    if found:
        print(f"{found[1]}=={found[2]}.*" if found[2].count(".") < 2 else f"{found[1]}=={found[2]}")
