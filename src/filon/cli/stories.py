"""Names, files and one line of each command, in the order of the story."""

from typing import NamedTuple


class Story(NamedTuple):
    """Where a command is, and what it does in one line."""

    file: str
    line: str


COMMANDS: dict[str, Story] = {
    "demo": Story("demo", "Train on a real table that comes with a package: the two-minute first success."),
    "init": Story("init", "Write a recipe from a look at your data."),
    "check": Story("check", "Show the effective recipe, the schema, the findings and the cost. No training."),
    "train": Story("train", "Carry a table from its source to a sealed bundle."),
    "evaluate": Story("evaluate", "Examine a bundle on a labelled table."),
    "predict": Story("predict", "Score a table with a bundle."),
    "compare": Story("compare", "Compare two runs on the same rows."),
    "promote": Story("promote", "Let an alias of the registered model point at a run, if it passes the gates."),
    "rollback": Story("rollback", "Let an alias point at the version before."),
    "serve": Story("serve", "Answer rows with a bundle over HTTP."),
    "package-env": Story("package_env", "Build the environment that a job takes to a cluster."),
    "watch": Story("watch", "Is live data still what was learned? An alarm exits with 1."),
    "runs": Story("runs", "List runs, best first."),
    "track": Story("track", "Send a run's records to MLflow (again)."),
    "ui": Story("ui", "Open the MLflow page on the runs."),
}
