"""`infrastructure/` for a recipe: what is written, what is kept, what is refused."""

import json
import re
from pathlib import Path

import pytest

from filon.errors import RecipeError
from filon.places.emr.settings import EmrSettings
from filon.places.infra.settings import InfraSettings
from filon.places.infra.writing import MARK, TEMPLATES, contents, variables, write_infrastructure

SETTINGS = EmrSettings(region="us-east-1", bucket="s3://acme/mineria")


def test_a_folder_has_everything_that_terraform_needs(tmp_path: Path) -> None:
    wrote = write_infrastructure(tmp_path / "infrastructure", "mineria", SETTINGS)
    assert {one.name for one in TEMPLATES.iterdir() if one.suffix == ".tf"} <= set(wrote.written)
    assert {"terraform.tfvars", "bootstrap.sh", ".gitignore", "policies/nodes.json"} <= set(wrote.written)
    assert (wrote.folder / "bootstrap.sh").stat().st_mode & 0o111


def test_the_second_time_nothing_changes(tmp_path: Path) -> None:
    first = write_infrastructure(tmp_path, "mineria", SETTINGS)
    again = write_infrastructure(tmp_path, "mineria", SETTINGS)
    assert again.written == ()
    assert set(again.same) == set(first.written)


def test_a_file_changed_by_hand_is_kept_and_another_value_is_written(tmp_path: Path) -> None:
    write_infrastructure(tmp_path, "mineria", SETTINGS)
    (tmp_path / "cluster.tf").write_text("# mine\n", encoding="utf-8")
    again = write_infrastructure(tmp_path, "mineria", SETTINGS.model_copy(update={"core_count": 7}))
    assert again.kept == ("cluster.tf",)
    assert again.written == ("terraform.tfvars",)
    assert (tmp_path / "cluster.tf").read_text(encoding="utf-8") == "# mine\n"
    forced = write_infrastructure(tmp_path, "mineria", SETTINGS, force=True)
    assert "cluster.tf" in forced.written


def test_somebody_elses_terraform_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("# theirs\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        write_infrastructure(tmp_path, "mineria", SETTINGS, force=True)
    assert caught.value.code == "infra.not-ours"
    assert [one.name for one in tmp_path.iterdir()] == ["main.tf"]


def test_the_variables_given_are_those_declared() -> None:
    declared = set(re.findall(r'^variable "(\w+)"', (TEMPLATES / "variables.tf").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(variables("mineria", SETTINGS)) == declared


def test_every_variable_declared_is_used() -> None:
    text = "".join(one.read_text(encoding="utf-8") for one in TEMPLATES.glob("*.tf"))
    declared = re.findall(r'^variable "(\w+)"', text, re.MULTILINE)
    assert [name for name in declared if f"var.{name}" not in text] == []


def test_only_the_aws_provider_is_needed_and_steps_stay_out() -> None:
    text = "".join(one.read_text(encoding="utf-8") for one in TEMPLATES.glob("*.tf"))
    kinds = set(re.findall(r'^(?:resource|data) "([a-z]+)_', text, re.MULTILINE))
    assert kinds == {"aws"}
    assert not re.search(r"^\s*(step|dynamic \"step\")\s*\{", text, re.MULTILINE)
    assert "ignore_changes = [step]" in text


def test_the_cluster_is_as_a_team_makes_it_by_hand() -> None:
    given = variables("mineria", SETTINGS)
    assert (given["primary_type"], given["primary_disk_gib"]) == ("m5.xlarge", 64)
    assert (given["core_type"], given["core_count"], given["core_disk_gib"]) == ("m5.2xlarge", 2, 128)
    assert given["idle_minutes"] == 60
    assert given["spark_conf"]["spark.serializer"].endswith("KryoSerializer")
    assert given["spark_conf"]["spark.sql.adaptive.enabled"] == "true"
    cluster = (TEMPLATES / "cluster.tf").read_text(encoding="utf-8")
    assert 'maximizeResourceAllocation = "true"' in cluster
    assert "volumes_per_instance = 2" in cluster
    assert '"${var.name}-ml-cluster"' in cluster


@pytest.mark.parametrize(("strategy", "wanted"), [("auto", "false"), ("cluster", "false"), ("tasks", "true")])
def test_dynamic_allocation_is_by_the_needs_of_the_recipe(strategy: str, wanted: str) -> None:
    assert variables("mineria", SETTINGS, strategy=strategy)["spark_conf"]["spark.dynamicAllocation.enabled"] == wanted


def test_the_recipes_own_spark_properties_win() -> None:
    given = variables("mineria", SETTINGS.model_copy(update={"conf": {"spark.sql.adaptive.enabled": "false"}}))
    assert given["spark_conf"]["spark.sql.adaptive.enabled"] == "false"


def test_no_dollar_of_ours_is_taken_for_hcls_escape() -> None:
    """`$${` is HCL's way to write `${` itself: a budget so filtered watches a tag that nobody has."""
    assert [one.name for one in TEMPLATES.glob("*.tf") if "$${" in one.read_text(encoding="utf-8")] == []


SPOT: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"task_count": 2}, "0.384"),
    ({"task_count": 2, "task_type": "c5.xlarge"}, "0.170"),
    ({"task_count": 2, "task_spot": False}, ""),
    ({"infra": InfraSettings(task_max=4)}, "0.384"),
    ({"infra": InfraSettings(task_max=4, task_bid=0.3)}, "0.3"),
    ({"infra": InfraSettings(task_max=4, cluster=False)}, ""),
]


@pytest.mark.parametrize(("changed", "wanted"), SPOT)
def test_spot_nodes_are_asked_for_with_a_sum(changed: dict[str, object], wanted: str) -> None:
    assert variables("mineria", SETTINGS.model_copy(update=changed))["task_bid"] == wanted


def test_a_sum_that_nobody_knows_is_asked_for() -> None:
    with pytest.raises(RecipeError) as caught:
        variables("mineria", SETTINGS.model_copy(update={"task_count": 2, "task_type": "g5.xlarge"}))
    assert caught.value.code == "infra.no-bid"
    assert "task_bid" in caught.value.fix


@pytest.mark.parametrize(("count", "most", "scaled"), [(2, 0, 0), (0, 4, 4), (6, 4, 6)])
def test_task_nodes_are_scaled_only_where_the_recipe_says_so(count: int, most: int, scaled: int) -> None:
    given = variables("mineria", SETTINGS.model_copy(update={"task_count": count, "infra": InfraSettings(task_max=most)}))
    assert (given["task_count"], given["task_max"]) == (count, scaled)


def test_values_are_texts_of_hcl_and_nothing_in_them_is_expanded() -> None:
    settings = SETTINGS.model_copy(update={"tags": {"owner": '${file("/etc/passwd")} %{if true}'}})
    text = contents("mineria", settings)["terraform.tfvars"]
    assert "$${file" in text
    assert "%%{if" in text


def test_a_recipe_without_a_bucket_or_with_an_endless_name_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        variables("mineria", EmrSettings())
    assert caught.value.code == "infra.bucket-unnamed"
    with pytest.raises(RecipeError) as caught:
        variables("m" * 60, SETTINGS)
    assert caught.value.code == "infra.name-unfit"


def test_only_data_outside_the_prefix_needs_a_right_of_its_own() -> None:
    files = contents("mineria", SETTINGS, sources=("s3://acme/mineria/data/x.csv", "data/local.csv"))
    assert "ReadData" not in files["policies/nodes.json"]
    files = contents("mineria", SETTINGS.model_copy(update={"infra": InfraSettings(read=("s3://raw/*",))}))
    assert "ReadData" in files["policies/nodes.json"]
    assert json.loads(files["policies/caller.json"])["Version"] == "2012-10-17"


def test_the_mark_names_what_was_written(tmp_path: Path) -> None:
    wrote = write_infrastructure(tmp_path, "mineria", SETTINGS)
    assert set(json.loads((tmp_path / MARK).read_text(encoding="utf-8"))["files"]) == set(wrote.written)


def test_a_subnet_of_the_teams_own_is_named_in_the_policy_and_left_as_it_is() -> None:
    files = contents("mineria", SETTINGS.model_copy(update={"subnet": "subnet-0abc"}))
    statements = {one["Sid"]: one for one in json.loads(files["policies/service.json"])["Statement"]}
    assert statements["LaunchInTheSubnetNamed"]["Resource"] == ["arn:${partition}:ec2:${region}:${account}:subnet/subnet-0abc"]
    assert "LaunchInTheSubnetNamed" not in contents("mineria", SETTINGS)["policies/service.json"]


def test_the_subnet_that_was_made_here_stays_ours_when_it_is_written_into_the_recipe(tmp_path: Path) -> None:
    """`filon infra up` prints it for the recipe; as "one that exists" the next `up` would take the network down."""
    write_infrastructure(tmp_path, "mineria", SETTINGS)
    made = {"mode": "managed", "type": "aws_subnet", "name": "filon", "instances": [{"attributes": {"id": "subnet-0abc"}}]}
    (tmp_path / "terraform.tfstate").write_text(json.dumps({"version": 4, "resources": [made]}), encoding="utf-8")
    pasted = write_infrastructure(tmp_path, "mineria", SETTINGS.model_copy(update={"subnet": "subnet-0abc"}))
    assert pasted.written == ()
    another = write_infrastructure(tmp_path, "mineria", SETTINGS.model_copy(update={"subnet": "subnet-0def"}))
    assert set(another.written) == {"terraform.tfvars", "policies/service.json"}
