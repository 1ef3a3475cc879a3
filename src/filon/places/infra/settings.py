"""The recipe's table `[places.emr.infra]`: what `filon infra` makes besides the cluster itself."""

from pydantic import Field

from filon.settings import Settings


class InfraSettings(Settings):
    """The account's side that Terraform makes; instance types, release and idle time are those of `[places.emr]`."""

    cluster: bool = Field(True, description="make a cluster that stays until it is idle; false: a cluster for each job")
    create_bucket: bool = Field(True, description="make the bucket of places.emr.bucket; false: it exists, and its settings are not ours")
    log_days: int = Field(30, ge=1, description="logs of EMR are deleted after so many days")
    task_max: int = Field(0, ge=0, description="task nodes that managed scaling may add up to; 0: places.emr.task_count, without scaling")
    task_bid: float = Field(
        0.0, ge=0, description="dollars that an hour of a task node may cost on the spot market; 0: its on-demand price, by our table"
    )
    vpc_cidr: str = Field("10.71.0.0/20", description="addresses of the network that is made where places.emr.subnet is empty")
    ssh_cidrs: tuple[str, ...] = Field((), description="addresses that may reach the primary node by SSH; Session Manager needs none")
    read: tuple[str, ...] = Field((), description="s3:// addresses that jobs may read besides the recipe's sources")
    budget_dollars: float = Field(100.0, gt=0, description="monthly budget of the project; alerts at 80 % spent and at 100 % foreseen")
    budget_emails: tuple[str, ...] = Field((), description="who is alerted by mail")
