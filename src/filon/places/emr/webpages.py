"""Pages of a cluster (Spark's history, YARN) on this machine: by a tunnel of Session Manager or SSH, or as EMR itself keeps them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filon.errors import PlaceError
from filon.events import Event, Listen
from filon.places.emr.client import Aws
from filon.places.emr.settings import EmrSettings

Page = Literal["history", "yarn"]
Via = Literal["auto", "ssm", "ssh", "aws"]

PORTS: dict[str, int] = {"history": 18080, "yarn": 8088}
"""Where the primary node serves them."""

KEPT: Mapping[str, str] = {"history": "SHS", "yarn": "YTS"}
"""What EMR keeps of them for thirty days after the cluster's end."""

DOCUMENT = "AWS-StartPortForwardingSessionToRemoteHost"
"""YARN listens at the primary node's name only, not at its localhost."""

PLUGIN = "session-manager-plugin"
READY_S = 30.0
KEPT_READY_S = 180.0
ALIVE = ("BOOTSTRAPPING", "RUNNING", "WAITING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page that can be looked at now: its address, by which way, and the tunnel's process (None where none is needed)."""

    url: str
    via: str
    process: subprocess.Popen[bytes] | None = None


@contextmanager
def shown(
    aws: Aws, settings: EmrSettings, cluster: str, page: Page, listen: Listen, *, via: Via = "auto", port: int = 0
) -> Iterator[Shown]:
    """A page of a cluster; the tunnel, where there is one, ends with the block.

    Parameters
    ----------
    via : "auto" takes Session Manager where its plugin is installed, else SSH where a key is given, else what EMR keeps
    port : of this machine; 0 for the page's own, or a free one where that is taken

    Raises
    ------
    PlaceError : `places.no-tunnel`, `places.tunnel-failed`
    """
    status = aws.call("emr", "describe_cluster", ClusterId=cluster)["Cluster"]
    alive = status["Status"]["State"] in ALIVE
    way = via if via != "auto" else chosen(settings, alive=alive)
    if way == "aws":
        listen(Event(stage="ui", text="what EMR keeps of it; it may take a minute"))
        yield Shown(url=kept(aws, str(status["ClusterArn"]), page, listen), via=way)
        return
    if not alive:
        why = f"it is {status['Status']['State'].lower()}, and its nodes are given back"
        raise PlaceError(
            "places.no-tunnel",
            f"the cluster {cluster} has no pages any more",
            why,
            "filon ui --on emr --via aws: EMR keeps them for 30 days",
        )
    local = port or _free(PORTS[page])
    node = primary(aws, cluster)
    with tempfile.TemporaryFile() as said:
        words = ssm_words(aws, node, page, local) if way == "ssm" else ssh_words(settings, status, node, page, local)
        listen(
            Event(
                stage="ui", text=f"a tunnel to {node.get('PrivateDnsName') or node['Id']} by {'Session Manager' if way == 'ssm' else 'SSH'}"
            )
        )
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        try:
            _wait(process, local, said, way)
            yield Shown(url=f"http://127.0.0.1:{local}/", via=way, process=process)
        finally:
            process.terminate()
            process.wait()


def chosen(settings: EmrSettings, *, alive: bool) -> Via:
    """The way that is at hand.

    Raises
    ------
    PlaceError : `places.no-tunnel`, never where what EMR keeps can be asked for
    """
    if alive and shutil.which(PLUGIN):
        return "ssm"
    if alive and settings.ssh_key and shutil.which("ssh"):
        return "ssh"
    return "aws"


def primary(aws: Aws, cluster: str) -> dict[str, Any]:
    """The primary node, as EMR lists it.

    Raises
    ------
    PlaceError : `places.no-tunnel`
    """
    words = {"ClusterId": cluster, "InstanceGroupTypes": ["MASTER"], "InstanceStates": ["RUNNING", "BOOTSTRAPPING"]}
    found = aws.call("emr", "list_instances", **words).get("Instances", [])
    if not found:
        raise PlaceError(
            "places.no-tunnel", f"{cluster} has no primary node yet", "its instances are still asked for", "filon status; then again"
        )
    return dict(found[0])


def ssm_words(aws: Aws, node: Mapping[str, Any], page: Page, local: int) -> list[str]:
    """Session Manager's plugin, as the AWS command line would start it.

    Raises
    ------
    PlaceError : `places.no-tunnel`, and what AWS answers
    """
    plugin = shutil.which(PLUGIN)
    if plugin is None:
        fix = 'install AWS\'s session-manager-plugin; or [places.emr] ssh_key = "~/.ssh/key.pem"; or --via aws'
        raise PlaceError("places.no-tunnel", "Session Manager's plugin is not installed", f"there is no {PLUGIN} on the PATH", fix)
    host = str(node.get("PrivateDnsName") or node.get("PrivateIpAddress") or "localhost")
    parameters = {"host": [host], "portNumber": [str(PORTS[page])], "localPortNumber": [str(local)]}
    request = {"Target": str(node["Ec2InstanceId"]), "DocumentName": DOCUMENT, "Parameters": parameters}
    answer = aws.call("ssm", "start_session", **request)
    session = {key: answer[key] for key in ("SessionId", "TokenValue", "StreamUrl")}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SSM") or os.environ.get("AWS_ENDPOINT_URL") or f"https://ssm.{aws.region}.amazonaws.com"
    profile = os.environ.get("AWS_PROFILE", "")
    return [plugin, json.dumps(session), aws.region, "StartSession", profile, json.dumps(request), endpoint]


def ssh_words(settings: EmrSettings, cluster: Mapping[str, Any], node: Mapping[str, Any], page: Page, local: int) -> list[str]:
    """SSH's own client with one port forwarded.

    Raises
    ------
    PlaceError : `places.no-tunnel`
    """
    ssh = shutil.which("ssh")
    key = Path(settings.ssh_key).expanduser()
    if ssh is None or not settings.ssh_key or not key.is_file():
        lacking = (
            "there is no ssh on the PATH" if ssh is None else f"there is no {key}" if settings.ssh_key else "places.emr.ssh_key is empty"
        )
        fix = '[places.emr] ssh_key = "~/.ssh/key.pem" (the pair that the cluster was made with); or --via aws'
        raise PlaceError("places.no-tunnel", "SSH has no key to the cluster", lacking, fix)
    host = "localhost" if page == "history" else str(node.get("PrivateDnsName") or node.get("PrivateIpAddress") or "localhost")
    target = str(cluster.get("MasterPublicDnsName") or node.get("PublicDnsName") or node.get("PrivateDnsName"))
    words = ["-N", "-L", f"127.0.0.1:{local}:{host}:{PORTS[page]}", "-i", str(key), "-l", settings.ssh_user]
    kept_up = ["-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=30", "-o", "ConnectTimeout=15"]
    return [ssh, *settings.ssh_options, *words, *kept_up, target]


def kept(aws: Aws, cluster_arn: str, page: Page, listen: Listen) -> str:
    """The address of what EMR keeps of a cluster's pages; whoever has it is let in for an hour.

    Raises
    ------
    PlaceError : `places.no-tunnel`
    """
    fix = "allow elasticmapreduce:CreatePersistentAppUI (policies/caller.json); or install session-manager-plugin; or places.emr.ssh_key"
    try:
        made = aws.call("emr", "create_persistent_app_ui", TargetResourceArn=cluster_arn, ProfilerType=KEPT[page])
        end = time.monotonic() + KEPT_READY_S
        while time.monotonic() < end:
            words = {"PersistentAppUIId": made["PersistentAppUIId"], "PersistentAppUIType": KEPT[page]}
            answer = aws.call("emr", "get_persistent_app_ui_presigned_url", **words)
            if answer.get("PresignedURL") and answer.get("PresignedURLReady", True):
                return str(answer["PresignedURL"])
            listen(Event(stage="ui", text="EMR brings the history"))
            time.sleep(2.0)
    except PlaceError as exc:
        raise PlaceError("places.no-tunnel", "there is no way to the cluster's pages", f"{exc.what}: {exc.why}"[:400], fix) from exc
    raise PlaceError(
        "places.no-tunnel", "EMR did not bring the history", f"nothing came in {KEPT_READY_S:.0f} s", "try again in some minutes"
    )


def _free(wanted: int) -> int:
    """The port wanted, or any that is free."""
    for port in (wanted, 0):
        with socket.socket() as held:
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(held.getsockname()[1])
    return wanted


def _wait(process: subprocess.Popen[bytes], port: int, said: Any, way: str) -> None:
    """Until somebody listens at this end of the tunnel.

    Raises
    ------
    PlaceError : `places.tunnel-failed`
    """
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as knock:
            knock.settimeout(1.0)
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    said.seek(0)
    why = " ".join(said.read().decode(errors="replace").split())[-400:] or f"nobody listened at port {port} in {READY_S:.0f} s"
    fixes: Mapping[str, Sequence[str]] = {
        "ssh": (
            "let your address in (places.emr.infra.ssh_cidrs) and use the cluster's own key pair",
            "--via ssm or --via aws needs neither",
        ),
        "ssm": ("allow ssm:StartSession (policies/caller.json)", "the nodes need the agent and policies/nodes.json; or --via aws"),
    }
    raise PlaceError("places.tunnel-failed", f"the tunnel by {way} did not open", why, "; ".join(fixes[way]))
