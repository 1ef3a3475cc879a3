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
    "explain": Story("explain", "Why does the model answer so? Contributions and partial dependence."),
    "predict": Story("predict", "Score a table with a bundle."),
    "compare": Story("compare", "Compare two runs on the same rows."),
    "promote": Story("promote", "Let an alias of the registered model point at a run, if it passes the gates."),
    "rollback": Story("rollback", "Let an alias point at the version before."),
    "export": Story("export", "Write a bundle in the form of another runtime."),
    "serve": Story("serve", "Answer rows with a bundle over HTTP."),
    "package-env": Story("package_env", "Build the environment that a job takes to a cluster."),
    "rehearse": Story("rehearse", "Carry a recipe to an emulated EMR and back, free."),
    "status": Story("status", "Show jobs that run elsewhere."),
    "attach": Story("attach", "Come back to a job that was sent, and follow it to its end."),
    "fetch": Story("fetch", "Bring a job's outputs home."),
    "logs": Story("logs", "Show a job's logs, merged in the order of time."),
    "doctor": Story("doctor", "Name the cause of a job's failure, and the setting to change."),
    "scale": Story("scale", "Set the number of a cluster's task nodes."),
    "cleanup": Story("cleanup", "Delete what was made on AWS and is still there."),
    "watch": Story("watch", "Is live data still what was learned? An alarm exits with 1."),
    "infra": Story("infra", "Make what a recipe needs in an AWS account, by Terraform, and take it down."),
    "cost": Story("cost", "What a run will cost on a place that charges, and what runs did cost."),
    "runs": Story("runs", "List runs, best first."),
    "track": Story("track", "Send a run's records to MLflow (again)."),
    "ui": Story("ui", "Open the MLflow page on the runs."),
}
