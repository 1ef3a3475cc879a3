"""The rules of the doctor: the words of YARN, Spark, Python, S3 and EMR, the cause each gives away, and the setting to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from filon.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A cause and the words that give it away. `what` and `fix` may name the pattern's groups; `where` limits it to EMR's own reasons."""

    code: Code
    pattern: re.Pattern[str]
    what: str
    fix: str
    where: str = "anywhere"
    defaults: Mapping[str, str] = field(default_factory=dict)


def _rule(code: Code, words: tuple[str, ...], what: str, fix: str, where: str = "anywhere", **defaults: str) -> Rule:
    """Any of the words, without regard to case."""
    return Rule(code=code, pattern=re.compile("|".join(words), re.IGNORECASE), what=what, fix=fix, where=where, defaults=defaults)


MORE_OVERHEAD = 'a larger places.emr.core_type, or [places.emr.conf] "spark.executor.memoryOverhead" = "8g"'

RULES: tuple[Rule, ...] = (
    # EMR's own words come first: when nodes are lost or never came, what the logs say follows from it
    _rule(
        "emr.bootstrap-failed",
        (
            r"BOOTSTRAP_FAILURE",
            r"bootstrap action (?P<number>\d+)? ?(?:\([^)]*\) )?(?:returned a non-zero|failed|timed out)",
            r"failed to (?:download|fetch) bootstrap",
        ),
        "a bootstrap action failed, so the cluster never started",
        "read node/*/bootstrap-actions/*/stderr.gz (filon logs RUN); the script is at the address that the request names",
    ),
    _rule(
        "emr.quota",
        (
            r"vcpu (?:limit|quota)",
            r"VcpuLimitExceeded",
            r"quota allows for",
            r"MaxSpotInstanceCountExceeded",
            r"instance limit",
            r"EC2 QUOTA EXCEEDED",
        ),
        "the account's quota of EC2 cores does not allow these instances",
        "ask for more (Service Quotas, L-1216C47A on demand, L-34B43A08 spot), or a smaller core_type or core_count",
    ),
    _rule(
        "emr.no-capacity",
        (
            r"insufficient ?(?:instance ?)?capacity",
            r"InsufficientInstanceCapacity",
            r"not have sufficient (?:\S+ )?capacity",
            r"capacity-not-available",
            r"spot (?:capacity|instances?) (?:is |are )?unavailable",
            r"instance type \S+ is not supported in the requested availability zone",
        ),
        "EC2 has no such instances to give in that zone now",
        "another core_type or another subnet (another zone), or try again later",
    ),
    _rule(
        "emr.spot-lost",
        (
            r"spot (?:instance )?(?:interruption|termination|reclaim|price)",
            r"SpotInterruption",
            r"terminated by ec2 spot",
            r"instance-terminated-by-price",
            r"Container released on a \*lost\* node",
            r"lost a slave node",
            r"(?:executor|node) decommission(?:ed)? finished: worker lost",
            r"ExecutorDecommission(?!ing)",
            r"BID_EVICTED",
            r"outbid",
        ),
        "EC2 took spot instances back while the job ran on them",
        "task_spot = false, or a core group large enough to end without the task nodes",
    ),
    _rule(
        "emr.idle-ended",
        (
            r"AUTO_TERMINATION",
            r"auto-?terminat(?:ion|ed)[^.]{0,20} (?:policy|idle)",
            r"terminated due to (?:being )?idle",
        ),
        "the cluster had been idle for too long and ended itself",
        "leave cluster_id out, so that a cluster is made for each job; or idle_minutes higher",
        where="reason",
    ),
    _rule(
        "emr.ended-by-user",
        (
            r"terminated by user request",
            r"USER_REQUEST",
        ),
        "somebody ended the cluster while the job ran",
        "submit the job again; termination protection keeps hands off a shared cluster",
        where="reason",
    ),
    _rule(
        "emr.request-invalid",
        (
            r"VALIDATION_ERROR",
            r"(?:instance profile|service role|EMR_\w+Role|subnet(?:-\w+)?|security group|key pair)\b[^.]{0,80}"
            r"(?:(?:is|was) (?:invalid|not (?:valid|authorized))|does not exist|not found|has insufficient|no longer exists)",
            r"failed to authorize (?:instance profile|service role)",
            r"cannot find route to",
        ),
        "EMR could not make the cluster as it was asked for",
        "correct what the reason names in [places.emr]: subnet, service_role, instance_profile, types (filon check RECIPE --on emr)",
        where="reason",
    ),
    # the job's own troubles, the most telling first
    _rule(
        "emr.s3-denied",
        (
            r"(?:(?P<role>arn:aws[\w-]*:(?:sts|iam)::\d+:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
            r"(?: on resource: \"?(?P<resource>arn:\S+?)\"?(?:\s|$))?)",
            r"AccessDenied(?:Exception)?\b",
            r"Access Denied \(Service: (?:Amazon )?S3",
            r"S3Exception: Access Denied",
            r"AWS Error ACCESS_DENIED(?: during (?P<operation>\w+))?",
            r"S3 refuses to let us read",
            r"Status Code: 403",
        ),
        "{role} may not {action}{resource}",
        "allow {action} there in the policy of the role: name what jobs read in places.emr.infra.read, or change"
        " infrastructure/policies/nodes.json; then filon infra init and up",
        role="the role of the nodes",
        action="what the job asks of S3",
        resource="",
    ),
    _rule(
        "emr.worker-python",
        (
            r"Python in worker has different version[: ]*\(?'?(?P<worker>[\d., ]+)",
            r"PYTHON_VERSION_MISMATCH",
        ),
        "the workers run another Python than the driver",
        "both read the environment: leave PYSPARK_PYTHON out of [places.emr.conf], and build it for the lane (filon package-env)",
    ),
    _rule(
        "emr.environment-missing",
        (
            r"Cannot run program \"?(?:\./)?environment/bin/python",
            r"environment/bin/python[^\n]{0,40}No such file",
            r"python3\.\d+: (?:command )?not found",
            r"exec: python3\.\d+: not found",
            r"error while loading shared libraries: libpython3",
            r"Failed to (?:download|localize) .*environment",
            r"environment[^ ]*\.tar\.gz[^\n]{0,40}(?:does not exist|not found)",
        ),
        "the nodes have no Python of the lane, or could not unpack the environment",
        "filon package-env --lane LANE --out FILE, places.emr.archive = FILE; your own cluster needs python3.11 (dnf install python3.11)",
    ),
    _rule(
        "emr.package-missing",
        (
            r"(?:ModuleNotFoundError|ImportError): (?:No module named '?(?P<package>[\w.]+)'?"
            r"|(?P<library>[\w.+-]+\.so[\w.]*): cannot open shared object|.*GLIBC\w* ?\S* not found)",
            r"OSError: (?P<object>[\w.+-]+\.so[\w.]*): cannot open shared object",
            r"version .?GLIBC\S+ not found",
        ),
        "the package {package} is not there on the workers",
        "filon package-env --lane LANE --extra {package} --out FILE, and places.emr.archive = FILE",
        package="of the error",
    ),
    _rule(
        "emr.barrier-slots",
        (
            r"SPARK-24819",
            r"SPARK-24942",
            r"SPARK-24820",
            r"barrier (?:execution mode|stage)[^\n]*(?:more slots|slots than|dynamic (?:resource )?allocation)",
            r"slots? (?:available|free)[^\n]*barrier",
        ),
        "a fit over the cluster needs all its slots at once, and the cluster has fewer (or changes their number)",
        'dynamic_allocation = "off", core_count higher, or places.spark.strategy = "tasks" (trials side by side need no barrier)',
    ),
    _rule(
        "emr.above-threshold",
        (r"Required (?:executor|AM) memory \((?P<asked>[\d. ]+\w*)[^\n]*above the max threshold \((?P<most>[\d. ]+\w*)",),
        "the executors asked for ({asked}) are larger than what YARN gives ({most})",
        "executor_memory_mib lower, or a larger core_type",
    ),
    _rule(
        "emr.driver-memory",
        (
            r"spark\.driver\.maxResultSize",
            r"Not enough memory to build and broadcast",
            r"AM Container for \S+ exited with\s+exitCode: (?:137|143|-104)",
            r"Driver (?:ran )?out of memory",
            r"java\.lang\.OutOfMemoryError[^\n]*(?:driver|main thread)",
            r"Exception in thread \"(?:main|Driver|dag-scheduler-event-loop|task-result-getter-\d+)\" java\.lang\.OutOfMemoryError",
        ),
        "the driver had too little memory",
        '[places.emr.conf] "spark.driver.memory" = "8g" and "spark.driver.memoryOverhead" = "4g"',
    ),
    _rule(
        "emr.container-memory",
        (
            r"Container killed by YARN for exceeding (?:physical |virtual )?memory limits\.? ?(?P<used>[\d.]+ ?\w+ of [\d.]+ ?\w+)?",
            r"running (?:\d+B )?beyond (?:the )?'?(?:physical|virtual)'? memory limit",
            r"Container (?:killed on request|from a bad node)[^\n]*Exit (?:code|status)[^\n]{0,8}:? ?(?:is )?137",
            r"Exit status: 137",
            r"exit(?:ed with)? (?:code|exitCode)[: ]+137",
            r"exitCode: -104",
            r"physical memory used; [^\n]*Killing container",
            r"oom-?kill",
            r"Out of memory: Killed process",
        ),
        "a container used more memory than it was given {used}",
        MORE_OVERHEAD,
        used="",
    ),
    _rule(
        "emr.heap-memory",
        (
            r"java\.lang\.OutOfMemoryError: (?P<space>Java heap space|GC overhead limit exceeded|Metaspace"
            r"|unable to create (?:new )?native thread|Requested array size)",
            r"SparkOutOfMemoryError",
        ),
        "an executor's Java heap was too small",
        'a larger places.emr.core_type, or [places.emr.conf] "spark.executor.memory" = "8g"',
    ),
    _rule(
        "emr.python-memory",
        (
            r"\b(?:_Array)?MemoryError\b",
            r"Unable to allocate [\d.]+ \w+ for an array",
            r"std::bad_alloc",
            r"ArrowMemoryError",
            r"Cannot allocate memory",
            r"malloc of size \d+ failed",
        ),
        "Python, Arrow or XGBoost had too little memory beside the Java heap",
        MORE_OVERHEAD,
    ),
    _rule(
        "emr.disk-full",
        (
            r"No space left on device",
            r"DiskErrorException",
            r"local-dirs? (?:(?:are|have) (?:bad|turned bad|usable space)|usable space is below)",
            r"disk(?:s)? (?:is|are) full",
        ),
        "a node's disk is full",
        "core_disk_gib higher, or fewer columns in data (drop)",
    ),
    _rule(
        "emr.s3a-missing",
        (
            r"ClassNotFoundException: (?:Class )?org\.apache\.hadoop\.fs\.s3a",
            r"No FileSystem for scheme:? \"?s3",
            r"UnsupportedFileSystemException[^\n]*\"s3",
        ),
        "Spark there does not know s3:// addresses",
        "use a release of EMR (its Spark has EMRFS), or put hadoop-aws and its SDK in spark.jars",
    ),
    _rule(
        "emr.s3-missing",
        (
            r"NoSuchBucket",
            r"Path does not exist: (?P<path>s3\S+)",
            r"NoSuchKey",
            r"FileNotFoundException: (?:File does not exist: |No such file or directory: ?)?'?(?P<file>s3\S+)",
            r"AWS Error NO_SUCH_(?:KEY|BUCKET)",
        ),
        "something the job reads is not in S3 {path}",
        "correct data.source; aws s3 ls shows what is there",
        path="",
    ),
    _rule(
        "emr.s3-slow-down",
        (
            r"(?:Slow Down|SlowDown)\b[^\n]*(?:503|Service: (?:Amazon )?S3)",
            r"Please reduce your request rate",
        ),
        "S3 asked the job to slow down, for longer than it could wait",
        "fewer, larger files in data.source; or run it again",
    ),
    _rule(
        "emr.network",
        (
            r"Unable to execute HTTP request: (?:Connect to|connect timed out)",
            r"UnknownHostException",
            r"ConnectTimeoutException",
            r"AWS Error NETWORK_CONNECTION",
            r"curlCode: (?:6|7|28)\b",
            r"Could not connect to the endpoint",
        ),
        "the nodes could not reach AWS over the network",
        "the subnet needs a way to S3: a gateway endpoint (filon infra init makes one) or a NAT gateway",
    ),
    _rule(
        "emr.no-executors",
        (
            r"Initial job has not accepted any resources",
            r"Timed out waiting for executors",
            r"Futures timed out after \[\d+ (?:milli)?seconds\]",
        ),
        "the job waited for executors that did not come",
        "executor_memory_mib lower or core_count higher; look at what else runs on the cluster (filon ui --on emr)",
    ),
    _rule(
        "emr.ended-from-outside",
        (
            r"Exit (?:code|status)(?: is)?:? ?143",
            r"exitCode: 143",
            r"Killed by external signal",
            r"RECEIVED SIGNAL TERM",
            r"Application \S+ was killed by user",
            r"Job \d+ cancelled because SparkContext was shut down",
        ),
        "the job was ended from outside (exit 143): the step was cancelled, YARN preempted it, or a node went away",
        "submit it again; when it happens again, look at memory first: " + MORE_OVERHEAD,
    ),
    _rule(
        "emr.shuffle-lost",
        (
            r"FetchFailedException",
            r"MetadataFetchFailedException",
            r"ExecutorLostFailure",
            r"Python worker exited unexpectedly",
        ),
        "executors, or their Python, were lost, and with them what others wanted to read",
        "look for why they ended; memory is the usual reason: " + MORE_OVERHEAD,
    ),
)
"""In order: the first rule that finds its words names the cause, for it explains those after it."""
