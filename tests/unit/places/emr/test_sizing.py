"""Executors by the instances and the table."""

import pytest

from filon.errors import PlaceError
from filon.places.emr.settings import EmrSettings
from filon.places.emr.sizing import in_memory_mib, instance, plan


@pytest.mark.parametrize(
    ("name", "cores", "memory_mib", "yarn_mib"),
    [
        # yarn.nodemanager.resource.memory-mb as EMR's page on task configuration has it
        ("m5.xlarge", 4, 16 * 1024, 12288),
        ("m5.2xlarge", 8, 32 * 1024, 24576),
        ("m5.4xlarge", 16, 64 * 1024, 57344),
        ("r5.xlarge", 4, 32 * 1024, 24576),
        ("r5.2xlarge", 8, 64 * 1024, 57344),
        ("m5.large", 2, 8 * 1024, 6144),
    ],
)
def test_an_instance_offers_what_emr_gives_to_yarn(name: str, cores: int, memory_mib: int, yarn_mib: int) -> None:
    found = instance(name)
    assert (found.cores, found.memory_mib, found.yarn_mib) == (cores, memory_mib, yarn_mib)


def test_an_unknown_type_is_refused_with_a_way_out() -> None:
    with pytest.raises(PlaceError) as refused:
        instance("quantum.huge")
    assert refused.value.code == "places.instance-unknown"
    assert plan(EmrSettings(core_type="quantum.huge", executor_memory_mib=9000, executor_cores=3)).container_mib == 9000


@pytest.mark.parametrize("core_type", ["m5.xlarge", "m5.2xlarge", "r5.4xlarge", "c5.4xlarge"])
def test_executor_and_driver_fit_a_node_together(core_type: str) -> None:
    made = plan(EmrSettings(core_type=core_type))
    assert made.container_mib + made.driver_heap_mib + made.driver_overhead_mib <= instance(core_type).yarn_mib


def test_no_more_executors_than_the_table_can_use() -> None:
    small = plan(EmrSettings(core_count=8), table_mib=10)
    large = plan(EmrSettings(core_count=8), table_mib=100_000)
    assert (small.executors, large.executors) == (1, 8)


@pytest.mark.parametrize(
    ("said", "strategy", "dynamic"), [("auto", "auto", False), ("auto", "tasks", True), ("on", "cluster", True), ("off", "tasks", False)]
)
def test_dynamic_allocation_is_off_where_a_barrier_may_come(said: str, strategy: str, dynamic: bool) -> None:
    made = plan(EmrSettings.model_validate({"dynamic_allocation": said}), strategy=strategy)
    assert made.dynamic is dynamic
    assert ("spark.executor.instances" in made.conf()) is not dynamic
    asked = [made.conf().get(f"spark.dynamicAllocation.{name}Executors") for name in ("initial", "max")]
    assert asked == ([str(made.executors)] * 2 if dynamic else [None, None])


def test_text_and_packed_files_grow_by_their_kind() -> None:
    mib = 1 << 20
    assert in_memory_mib(mib, "a.parquet") > in_memory_mib(mib, "a.csv")
    assert in_memory_mib(mib, "a.csv.gz") > in_memory_mib(mib, "a.csv")
