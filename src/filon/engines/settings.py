"""What a recipe says about the Spark that the engine works with: the table `[places.spark]`."""

from typing import Literal

from pydantic import Field

from filon.settings import Settings


class SparkSettings(Settings):
    """Where Spark is, and how it is used. All of it has defaults: the session that is already active, or a new one on all cores."""

    master: str = Field(
        "", description='"local[*]", "spark://host:7077", "yarn", "k8s://…" or "sc://host:15002" (Spark Connect); empty: local[*]'
    )
    deploy_mode: Literal["client", "cluster"] = Field("client", description="where the driver runs, with --on spark")
    conf: dict[str, str] = Field(default_factory=dict, description='Spark properties, e.g. "spark.executor.memory" = "8g"')
    strategy: Literal["auto", "tasks", "cluster"] = Field(
        "auto", description="tasks: each trial in one task; cluster: everything over all executors; auto: by size, small tables in one task"
    )
    archive: str = Field("", description="environment made by `filon package-env`, a local path or a URI; empty: workers have their own")
    work: str = Field(
        "", description="folder that driver and workers share, for folds in the making (file://, hdfs://, s3://); empty: the cluster's own"
    )
    out: str = Field("", description='s3:// address that the results of jobs in deploy mode "cluster" go to')
