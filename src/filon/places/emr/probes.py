"""Looks at the account: who asks, the region, the bucket by a real write, the roles by IAM's own simulation."""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from filon.errors import PlaceError, some
from filon.places.emr.lines import Line, Look, block, failed, ok, refused_look, warn

INFRA = "filon infra up makes them: then set places.emr.service_role and instance_profile to its outputs"


def credentials(look: Look) -> list[Line]:
    """Who asks; nothing else can be looked at without."""
    try:
        said = look.aws.call("sts", "get_caller_identity")
    except PlaceError as exc:
        return [failed("credentials", exc)]
    look.account, look.caller = str(said["Account"]), str(said["Arn"])
    look.partition = look.caller.split(":")[1] or "aws"
    if look.caller.endswith(":root"):
        return [
            warn(
                "credentials",
                "checklist.root-user",
                f"you are the root user of account {look.account}",
                "use a user or role with policies/caller.json of filon infra init",
            )
        ]
    return [ok("credentials", f"{look.caller}")]


def region(look: Look) -> list[Line]:
    """The region is one, and has EMR."""
    import boto3

    where = look.aws.region
    known = boto3.Session().get_available_regions("emr", partition_name=look.partition)
    if known and where not in known:
        near = [one for one in known if one.split("-")[0] == where.split("-")[0]]
        return [
            block(
                "region",
                "checklist.region",
                f"{where} is no region with EMR",
                f"set places.emr.region, e.g. one of {', '.join(near[:4] or known[:4])}; for a new region update boto3",
            )
        ]
    return [ok("region", where)]


def bucket(look: Look) -> list[Line]:
    """The bucket is there, in the region, private; a probe can be written, read, listed and deleted."""
    if not look.bucket:
        return [block("bucket", "checklist.bucket-unnamed", "the recipe names no bucket", '[places.emr] bucket = "s3://YOUR-BUCKET/filon"')]
    try:
        answer = look.aws.call("s3", "get_bucket_location", Bucket=look.bucket)
    except PlaceError as exc:
        return [failed("bucket", exc)]
    where = str(answer.get("LocationConstraint") or "us-east-1").replace("EU", "eu-west-1")
    if where != look.aws.region:
        return [
            block(
                "bucket",
                "checklist.bucket-region",
                f"the bucket {look.bucket} is in {where}, the cluster would be in {look.aws.region}",
                f'[places.emr] region = "{where}"',
            )
        ]
    return [*_probe(look), *_kept_well(look)]


def _probe(look: Look) -> list[Line]:
    key, text = f"{look.prefix}.filon-probe-{uuid.uuid4().hex[:12]}", b"written by filon check; may be deleted"
    done = []
    line: Line | None = None
    try:
        look.aws.call("s3", "put_object", Bucket=look.bucket, Key=key, Body=text)
        done.append("write")
        read = look.aws.call("s3", "get_object", Bucket=look.bucket, Key=key)["Body"].read()
        done.append("read")
        listed = look.aws.call("s3", "list_objects_v2", Bucket=look.bucket, Prefix=key).get("Contents", [])
        done.append("list")
        if read != text or [one["Key"] for one in listed] != [key]:
            fix = "look at the bucket's replication and at what stands between you and S3"
            line = block("bucket rights", "checklist.bucket-rights", "what was written is not what is read", fix)
    except PlaceError as exc:
        lacking = next(verb for verb in ("write", "read", "list") if verb not in done)
        fix = "attach policies/caller.json of filon infra init to whoever asks, and look at the bucket's own policy"
        line = block(
            "bucket rights",
            "checklist.bucket-rights",
            f"you may not {lacking} under s3://{look.bucket}/{look.prefix}: {exc.why}"[:400],
            fix,
        )
    if "write" in done:
        try:
            look.aws.call("s3", "delete_object", Bucket=look.bucket, Key=key)
        except PlaceError as exc:
            fix = f"allow s3:DeleteObject; the probe {key} stays behind"
            line = line or block("bucket rights", "checklist.bucket-rights", f"you may not delete: {exc.why}"[:400], fix)
    return [line or ok("bucket rights", f"write, read, list and delete under s3://{look.bucket}/{look.prefix}")]


def _kept_well(look: Look) -> list[Line]:
    """What production wants of a bucket; none of it stops a job."""
    try:
        missing = [] if _is_private(look) else ["public access is not blocked"]
        missing += [] if _keeps_versions(look) else ["no versions are kept"]
    except PlaceError as exc:
        if exc.code == "places.access-denied":
            return [refused_look("bucket settings", exc)]
        return [failed("bucket settings", exc, "warning")]
    if missing:
        fix = "filon infra init writes a bucket that has both; or aws s3api put-public-access-block and put-bucket-versioning"
        return [warn("bucket settings", "checklist.bucket-settings", f"{look.bucket}: {' and '.join(missing)}", fix)]
    return [ok("bucket settings", "public access is blocked, versions are kept")]


def _is_private(look: Look) -> bool:
    try:
        said = look.aws.call("s3", "get_public_access_block", Bucket=look.bucket)["PublicAccessBlockConfiguration"]
    except PlaceError as exc:
        if "NoSuchPublicAccessBlock" in exc.why:
            return False
        raise
    return all(said.values())


def _keeps_versions(look: Look) -> bool:
    return bool(look.aws.call("s3", "get_bucket_versioning", Bucket=look.bucket).get("Status") == "Enabled")


def roles(look: Look) -> list[Line]:
    """The service role and the instance profile exist, and the right service may take each on."""
    found: list[Line] = []
    service = str(look.cluster.get("ServiceRole") or look.settings.service_role).rpartition("/")[2]
    attributes = look.cluster.get("Ec2InstanceAttributes", {})
    profile = str(attributes.get("IamInstanceProfile") or look.settings.instance_profile).rpartition("/")[2]
    try:
        role = look.aws.call("iam", "get_role", RoleName=service)["Role"]
        look.service_role = role["Arn"]
        found += trust_line("service role", role, "elasticmapreduce.amazonaws.com")
    except PlaceError as exc:
        found.append(no_role_line("service role", service, exc))
    try:
        held = look.aws.call("iam", "get_instance_profile", InstanceProfileName=profile)["InstanceProfile"]["Roles"]
        if not held:
            found.append(block("instance profile", "checklist.role-missing", f"the instance profile {profile} holds no role", INFRA))
        else:
            look.nodes_role = held[0]["Arn"]
            found += trust_line("instance profile", held[0], "ec2.amazonaws.com")
    except PlaceError as exc:
        found.append(no_role_line("instance profile", profile, exc))
    return found


def no_role_line(name: str, role: str, exc: PlaceError) -> Line:
    """A role that cannot be looked at, or is not there."""
    if exc.code == "places.access-denied":
        return refused_look(name, exc)
    if "NoSuchEntity" in exc.why:
        return block(name, "checklist.role-missing", f"there is no {name} {role}", INFRA)
    return failed(name, exc)


def trust_line(name: str, role: Mapping[str, Any], principal: str) -> list[Line]:
    """Whether a service may take a role on."""
    document = role.get("AssumeRolePolicyDocument", {})
    if isinstance(document, str):
        document = json.loads(urllib.parse.unquote(document) or "{}")
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    trusted = [
        one
        for statement in statements
        if statement.get("Effect") == "Allow"
        for one in _listed(statement.get("Principal", {}).get("Service", []) if isinstance(statement.get("Principal"), dict) else [])
    ]
    if not any(one.startswith(principal) for one in trusted):
        why = f"{role['RoleName']} trusts {some(trusted) or 'nobody'}, and not {principal}"
        return [block(name, "checklist.role-trust", why, "its trust policy must name the service: see policies/ of filon infra init")]
    return [ok(name, str(role["Arn"]))]


def policies(look: Look) -> list[Line]:
    """What the nodes, the service and whoever asks may do, by IAM's own simulation."""
    scope, found = look.scope, []
    if look.nodes_role:
        whole, objects = scope.arn("s3", look.bucket), scope.arn("s3", f"{look.bucket}/{look.prefix}x")
        wanted: dict[str, list[str]] = {objects: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], whole: ["s3:ListBucket"]}
        for source in look.job.sources:
            if source.startswith("s3://"):
                wanted.setdefault(object_arn(look, source), []).append("s3:GetObject")
        found += may_line(look, "node policy", look.nodes_role, wanted, "a job would fail at its first read or write")
    if look.service_role:
        passed = {look.nodes_role: ["iam:PassRole"]} if look.nodes_role else {}
        passed[scope.ec2("instance")[0]] = ["ec2:RunInstances", "ec2:TerminateInstances"]
        found += may_line(look, "service policy", look.service_role, passed, "EMR could not start a node", passed_to="ec2.amazonaws.com")
    if look.caller and ":user/" in look.caller:
        cluster = scope.arn("elasticmapreduce", f"cluster/{look.settings.cluster_id or '*'}", region=scope.region, account=scope.account)
        needed = {cluster: ["elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:DescribeStep"]}
        if not look.settings.cluster_id:
            needed = {
                "*": ["elasticmapreduce:RunJobFlow"],
                cluster: ["elasticmapreduce:TerminateJobFlows", "elasticmapreduce:DescribeStep"],
            }
        found += may_line(look, "caller policy", look.caller, needed, "you could not submit, follow or end the job")
    return found


def may_line(look: Look, name: str, principal: str, wanted: Mapping[str, list[str]], then: str, passed_to: str = "") -> list[Line]:
    """What a role or user may not do of what it must, by IAM's simulation; `then` is what would come of it."""
    try:
        refused = look.may(principal, wanted, passed_to)
    except PlaceError as exc:
        if "NoSuchEntity" in exc.why:
            return []  # a person who is known elsewhere (single sign-on): IAM cannot say what they may
        return [refused_look(name, exc)]
    who = principal.rpartition("/")[2]
    if refused:
        fix = f"policies/ of filon infra init grants it; or allow it in the policy of {who}"
        return [block(name, "checklist.policy", f"{who} may not {some(refused, 3)}: {then}", fix)]
    return [ok(name, f"{who} may do what it must")]


def object_arn(look: Look, source: str) -> str:
    """An object that a source may name: what stands before its first wildcard."""
    name, _, key = source.removeprefix("s3://").partition("/")
    key = key.split("*")[0]
    return look.scope.arn("s3", f"{name}/{key}" + ("x" if key.endswith("/") or not key else ""))


def data(look: Look) -> list[Line]:
    """Every source is in S3, is there, and is in the region."""
    found = []
    for source in look.job.sources:
        if not source.startswith(("s3://", "s3a://")):
            fix = f"aws s3 cp {source} {look.settings.bucket or 's3://YOUR-BUCKET'}/data/ and name that in data.source"
            found.append(block("data", "checklist.data-local", f"{source} is on this machine, and the cluster cannot read it", fix))
            continue
        found.append(_source(look, source))
    return found


def _source(look: Look, source: str) -> Line:
    name, _, key = source.replace("s3a://", "s3://").removeprefix("s3://").partition("/")
    prefix = re.split(r"[*?\[]", key)[0]
    try:
        where = (
            str(look.aws.call("s3", "get_bucket_location", Bucket=name).get("LocationConstraint") or "us-east-1")
            if name != look.bucket
            else look.aws.region
        )
        answer = look.aws.call("s3", "list_objects_v2", Bucket=name, Prefix=prefix, MaxKeys=50)
    except PlaceError as exc:
        if exc.code == "places.access-denied":
            return refused_look("data", exc)
        line = failed("data", exc)
        return replace(line, fix="correct data.source: aws s3 ls shows your buckets") if exc.code == "places.bucket-missing" else line
    meant = [one for one in answer.get("Contents", []) if _is_meant(str(one["Key"]), key)]
    if not meant and prefix != key and answer.get("IsTruncated"):
        return ok("data", f"{source}: more than {len(answer['Contents'])} objects, none of the first of which it names")
    sizes = [one["Size"] for one in meant if not one["Key"].endswith("/")]
    if not sizes or not any(sizes):
        what = "is empty" if sizes else "names nothing"
        return block("data", "checklist.data-missing", f"{source} {what}", f"aws s3 ls s3://{name}/{prefix}; correct data.source")
    if where != look.aws.region:
        what = f"{source} is in {where}, the cluster in {look.aws.region}: every read is paid as traffic between regions"
        return warn("data", "checklist.data-region", what, f'copy it, or [places.emr] region = "{where}"')
    return ok("data", f"{source}: {len(sizes)}{'+' if answer.get('IsTruncated') else ''} objects")


def _is_meant(there: str, key: str) -> bool:
    """Whether a source's key names an object: itself, a folder above it, or a pattern; what only begins alike is another one."""
    if re.search(r"[*?\[]", key):
        from filon.engines.storage import fits

        return fits(there, key)
    return there == key or there.startswith(f"{key.rstrip('/')}/" if key else "")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
