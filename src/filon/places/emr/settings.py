"""What a recipe says about EMR: the table `[places.emr]`."""

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from filon.places.infra.settings import InfraSettings
from filon.settings import Settings

ADDRESS = re.compile(r"s3://[A-Za-z0-9._-]{1,255}(/|$)")
TAGGED = re.compile(r"[\w\s.:/=+@-]*")
"""Letters of any language, as AWS's tags take them."""


class EmrSettings(Settings):
    """The account's side of the job; credentials come by the AWS environment variables and profiles, never from a recipe."""

    region: str = Field("", description="AWS region; empty: by the AWS environment variables and profiles")
    bucket: str = Field("", description="s3://bucket/prefix that code, data, models and results go to")
    cluster_id: str = Field("", description='a running cluster ("j-..."); empty: a cluster is made for the job, and ended after it')
    serverless: bool = Field(False, description="run jobs on EMR Serverless: no cluster, no Terraform; workers are paid by the second")
    application_id: str = Field("", description="application of EMR Serverless; empty: one is found or made, and stops when idle")
    execution_role: str = Field("", description="role (name or ARN) that a job on EMR Serverless takes on: what it may read and write")
    image: str = Field("", description="container image of EMR Serverless with the lane's Python; empty: AWS's own")
    max_vcpus: int = Field(0, ge=0, description="vCPUs that the application may grow to; 0: what the driver and all workers need")
    release: str = Field("emr-7.13.0", description="version lane of the cluster that is made")
    primary_type: str = Field("m5.xlarge", description="instance type of the primary node")
    primary_disk_gib: int = Field(64, ge=15, description="disk of the primary node, in GiB")
    core_type: str = Field("m5.2xlarge", description="instance type of the core nodes; executors are sized by it")
    core_count: int = Field(2, ge=1, description="core nodes")
    core_disk_gib: int = Field(128, ge=15, description="size of each of a core node's two disks, in GiB")
    task_type: str = Field("", description="instance type of the task nodes; empty: that of the core nodes")
    task_count: int = Field(0, ge=0, description="task nodes")
    task_spot: bool = Field(True, description="task nodes on the spot market")
    subnet: str = Field("", description='subnet of the cluster that is made ("subnet-..."); empty: the account\'s default')
    primary_group: str = Field("", description='security group of the primary node ("sg-..."); empty: one that EMR keeps in the network')
    nodes_group: str = Field("", description="security group of the core and task nodes; given with primary_group, or not at all")
    service_group: str = Field("", description="security group by which EMR itself reaches the nodes in a private subnet")
    service_role: str = Field("EMR_DefaultRole", description="role of the EMR service")
    instance_profile: str = Field("EMR_EC2_DefaultRole", description="instance profile of the nodes: what the job may do")
    log_uri: str = Field("", description="where EMR writes logs; empty: logs/ under the bucket")
    idle_minutes: int = Field(60, ge=1, le=10080, description="a cluster that is made ends after so many idle minutes, whatever happens")
    executor_memory_mib: int = Field(0, ge=0, description="memory of an executor's container, in MiB; 0: by the instance type")
    executor_cores: int = Field(0, ge=0, description="cores of an executor; 0: all of its node")
    conf: dict[str, str] = Field(
        default_factory=dict, description='Spark properties that win over ours, e.g. "spark.executor.memory" = "8g"'
    )
    archive: str = Field("", description="environment made by `filon package-env`: a local file or an s3:// URI; empty: it is built")
    dynamic_allocation: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: off when trials may be fitted over the cluster (a barrier stage needs all its slots at once)"
    )
    key_pair: str = Field("", description="EC2 key pair of a cluster that is made, for SSH to its primary node; empty: none")
    ssh_key: str = Field("", description="private key for `filon ui --on emr` by SSH; empty: Session Manager, or what EMR keeps")
    ssh_user: str = Field("hadoop", description="user of the primary node")
    ssh_options: tuple[str, ...] = Field((), description='further words of ssh, e.g. ["-J", "bastion.example.com"]')
    tags: dict[str, str] = Field(default_factory=dict, description="further tags of what is made")
    infra: InfraSettings = Field(InfraSettings(), description="what `filon infra` makes")

    @field_validator("bucket", "log_uri")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not ADDRESS.match(value):
            raise ValueError("an address in S3 is s3://BUCKET/PREFIX")
        return value.rstrip("/")

    @field_validator("tags", "conf", mode="before")
    @classmethod
    def _told_as_texts(cls, value: Any) -> Any:
        """Numbers and truths as a tag or Spark writes them: `tags.again = 2`, "spark.ui.enabled" = false."""
        if not isinstance(value, dict):
            return value
        plain = {key: str(one).lower() if isinstance(one, bool) else one for key, one in value.items()}
        return {key: str(one) if isinstance(one, (int, float)) else one for key, one in plain.items()}

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, value: dict[str, str]) -> dict[str, str]:
        """What AWS would refuse only when all is uploaded and the cluster is asked for."""
        for key, text in value.items():
            if not 1 <= len(key) <= 128 or len(text) > 256:
                raise ValueError(f"the tag {key[:40]!r} is too long or empty: names have 1 to 128 signs, values up to 256")
            if not TAGGED.fullmatch(key) or not TAGGED.fullmatch(text):
                raise ValueError(f"the tag {key!r} has signs that AWS does not take: letters, digits, spaces and _ . : / = + - @ are")
            if key.lower().startswith(("aws:", "filon:")) or key == "filon-project":
                raise ValueError(f"the tag {key!r} is not yours to give: clean-up and the bill go by it")
        return value

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "EmrSettings":
        if self.serverless and self.cluster_id:
            raise ValueError("serverless = true and cluster_id exclude each other: a job runs on one of them")
        if bool(self.primary_group) != bool(self.nodes_group):
            raise ValueError("primary_group and nodes_group go together: EMR takes both or neither")
        if self.service_group and not self.primary_group:
            raise ValueError("service_group goes with primary_group and nodes_group: EMR's own groups and others do not mix")
        return self
