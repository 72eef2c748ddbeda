"""Kubernetes objects: by the API's schemas, and by what the planner and the house want of them."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from seekserve.config import load, read_tier, tier_names
from seekserve.errors import ConfigError
from seekserve.metrics import WAIT_BUCKETS, Metrics
from seekserve.plan.commands import node_commands
from seekserve.plan.settled import settled
from seekserve.render import enginepod, scaling
from seekserve.render.kubernetes import kubernetes
from seekserve.render.order import TARGETS, Asked, Order, order
from seekserve.settings import Hardware
from tests.render import held
from tests.render.held import CATALOG, complaints, made, parsed

ROOM = Path(__file__).parents[2] / "server" / "seekserve"
TWO = Hardware(gpu="a100-80g", count=8, nodes=2)


def ordered(tier: str, one: Hardware | None = None, nodes: int = 1) -> Order:
    asked = Asked(
        kind="kubernetes",
        tier=read_tier(tier),
        command="seekserve render kubernetes",
        version="9.9.9",
        gpu=f"{one.gpu}:{one.count}" if one else None,
        gpu_mem_gib=one.memory_gib if one else None,
        nodes=one.nodes if one else nodes,
    )
    return order(CATALOG, asked)


@functools.cache
def everywhere() -> dict[str, dict[str, str]]:
    """For every tier, the first hardware on each platform that has an image, on one node and on several."""
    found = {}
    for folder, one in held.ordered():
        if one.asked.kind == "kubernetes":
            inside = {name: text for name, text in made().items() if name.startswith(f"{folder}/")}
            files = {name.removeprefix(f"{folder}/"): text for name, text in inside.items()}
            found[f"{one.tier.tier} {one.platform.id} {one.asked.nodes}"] = files
    for tier in map(read_tier, tier_names()):
        for hardware in tier.hardware:
            platform = CATALOG.accelerator(hardware.gpu).platform
            name = f"{tier.tier} {platform} {hardware.nodes}"
            if platform in TARGETS and name not in found:
                found[name] = kubernetes(ordered(tier.tier, hardware))
    return found


@functools.cache
def flagship() -> dict[str, list[dict[str, Any]]]:
    files = kubernetes(ordered("flagship", TWO))
    return {name: list(parsed(text)) for name, text in files.items()}


def pods(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of all pods that an object makes."""
    spec = one.get("spec", {})
    group = spec.get("leaderWorkerTemplate", {})
    templates = [group.get("leaderTemplate"), group.get("workerTemplate"), spec.get("template")]
    return [template["spec"] for template in templates if template]


def test_the_api_takes_every_object_for_every_tier_and_platform() -> None:
    assert len(everywhere()) >= 10
    for name, files in everywhere().items():
        for path, text in files.items():
            for document in parsed(text):
                assert complaints(document) == [], f"{name}: {path}"


def test_the_schemas_do_refuse() -> None:
    """The control: what is misspelt in any kind is found."""
    (deployment,) = (x for x in flagship()["gateway.yaml"] if x["kind"] == "Deployment")
    (engine,) = (x for x in flagship()["engine.yaml"] if x["kind"] == "LeaderWorkerSet")
    leader = engine["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    wrong = {**leader, "spec": {**leader["spec"], "hostnetwork": True}}
    group = {**engine["spec"]["leaderWorkerTemplate"], "leaderTemplate": wrong}
    for one in (
        {**deployment, "spec": {**deployment["spec"], "replica": 1}},
        {**engine, "spec": {"leaderWorkerTemplate": group}},
        {**engine, "spec": {**engine["spec"], "replicaz": 1}},
        {**flagship()["monitor.yaml"][0], "spec": {"endpoints": [{"ports": "ops"}]}},
        {**flagship()["autoscaling/scaledobject.yaml"][0], "spec": {"triggers": [{}]}},
    ):
        assert complaints(one), one["kind"]


def test_every_pod_is_kept_in_and_every_container_has_nothing_but_what_it_needs() -> None:
    for name, files in everywhere().items():
        assert [one for text in files.values() for one in parsed(text) if pods(one)], name
        for text in files.values():
            for pod in (pod for document in parsed(text) for pod in pods(document)):
                assert pod["automountServiceAccountToken"] is False
                assert pod["securityContext"]["runAsNonRoot"] is True, name
                assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
                (container,) = pod["containers"]
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }
                mounted = {mount["name"] for mount in container["volumeMounts"]}
                claims = {"models"} if not _named(pod, "models") and "models" in mounted else set()
                assert mounted == {volume["name"] for volume in pod["volumes"]} | claims


def _named(pod: dict[str, Any], name: str) -> bool:
    return any(volume["name"] == name for volume in pod["volumes"])


@pytest.mark.parametrize("name", ["cpu", "consumer", "enterprise", "enterprise.rocm", "flagship"])
def test_engines_run_the_planners_own_commands_with_its_devices(name: str) -> None:
    one = dict(held.ordered())[f"kubernetes/{name}"]
    plan = one.plans[0]
    wanted = node_commands(
        plan,
        CATALOG,
        served_as=(plan.subject.name,),
        master="$(LWS_LEADER_ADDRESS)",
        templates=Path("/usr/share/seekserve/templates"),
    )
    documents = parsed(made()[f"kubernetes/{name}/engine.yaml"])
    (engine,) = (x for x in documents if x["kind"] in ("Deployment", "LeaderWorkerSet"))
    containers = [pod["containers"][0] for pod in pods(engine)]
    assert len(containers) == len(wanted)
    for container, command in zip(containers, wanted, strict=True):
        front = ["--host", "0.0.0.0", "--port", "8000"] if not command.node else []
        assert container["command"] == [*command.argv, *front]
        said = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert command.env.items() <= said.items()
        assert container["image"] == one.image
        limits = container["resources"].get("limits", {})
        counts = [str(plan.cluster.per_node)] if one.platform.id != "cpu" else []
        assert list(limits.values()) == counts
        assert not [word for word in container["command"] if str(ROOM.parents[1]) in word]


def test_what_is_above_the_api_of_an_engine_has_its_key_and_workers_have_none() -> None:
    (engine,) = (x for x in flagship()["engine.yaml"] if x["kind"] == "LeaderWorkerSet")
    head, worker = ({e["name"] for e in pod["containers"][0]["env"]} for pod in pods(engine))
    assert "VLLM_API_KEY" in head and "VLLM_API_KEY" not in worker
    group = engine["spec"]["leaderWorkerTemplate"]
    assert (group["size"], group["restartPolicy"]) == (2, "RecreateGroupOnPodRestart")
    front = flagship()["engine.yaml"][-1]["spec"]["selector"]
    assert front.items() <= group["leaderTemplate"]["metadata"]["labels"].items()
    assert not front.items() <= group["workerTemplate"]["metadata"]["labels"].items()


def test_probes_and_drains_follow_the_tier() -> None:
    one = ordered("flagship", TWO)
    (engine,) = (x for x in flagship()["engine.yaml"] if x["kind"] == "LeaderWorkerSet")
    pod, settings = pods(engine)[0], one.tier.engine
    (container,) = pod["containers"]
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= settings.start_timeout_s
    alive = container["livenessProbe"]
    assert alive["exec"]["command"][:2] == ["seekserve", "prove"]
    assert alive["periodSeconds"] * alive["failureThreshold"] >= settings.stall_s
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= waits + settings.stop_grace_s
    gateway = pods(next(x for x in flagship()["gateway.yaml"] if x["kind"] == "Deployment"))[0]
    (container,) = gateway["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_the_gateways_tier_is_what_serve_would_have_settled_on(tmp_path: Path) -> None:
    one = ordered("flagship", TWO)
    (page,) = (
        x["data"]["tier.yaml"] for x in flagship()["gateway.yaml"] if x["kind"] == "ConfigMap"
    )
    (tmp_path / "tier.yaml").write_text(page)
    config = load(
        str(tmp_path / "tier.yaml"),
        attach=("http://engine-0-api:8000",),
        listen={},
        state_dir=tmp_path,
    )
    wanted = settled(one.tier, one.plans[0], ())
    assert config.tier.limits == wanted.limits
    assert config.tier.defaults == wanted.defaults
    assert config.tier.classes == wanted.classes
    assert not config.tier.ladder


def test_nothing_is_let_through_but_by_name() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in flagship()["network.yaml"]}
    shut = policies["nothing"]
    assert shut["podSelector"] == {} and shut["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in shut and "egress" not in shut
    ports = {rule["ports"][0]["port"]: rule["from"] for rule in policies["gateway"]["ingress"]}
    assert set(ports) == {8000, 9464}
    assert all("namespaceSelector" in who for rule in ports.values() for who in rule)
    for name, spec in policies.items():
        for rule in spec.get("ingress", []) + spec.get("egress", []):
            assert rule.get("from") or rule.get("to"), f"{name} lets anybody through"
    blocks = [to["ipBlock"] for rule in policies["engine-fetching"]["egress"] for to in rule["to"]]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(blocks[0]["except"])


def test_secrets_are_named_and_never_there() -> None:
    for files in everywhere().values():
        text = "".join(files.values())
        assert "kind: Secret\n" not in text
        assert "create secret generic seekserve" in text
    monitor = flagship()["monitor.yaml"][0]["spec"]
    credentials = monitor["endpoints"][0]["authorization"]["credentials"]
    assert credentials == {"name": "seekserve", "key": "ops_token"}
    gateway = next(x for x in flagship()["gateway.yaml"] if x["kind"] == "Service")
    assert gateway["metadata"]["labels"][monitor["jobLabel"]] == "seekserve"


def test_a_kustomization_names_its_files_and_all_of_them() -> None:
    for files in everywhere().values():
        assert "kustomization.yaml" in files
        for folder in ("", "autoscaling/"):
            if top := files.get(f"{folder}kustomization.yaml"):
                named = {f"{folder}{name}" for name in parsed(top)[0]["resources"]}
                beside = {n for n in files if n.rpartition("/")[0] == folder.rstrip("/")}
                assert named == beside - {f"{folder}kustomization.yaml"}


def test_the_reserve_is_started_by_series_that_there_are() -> None:
    """The gauges are named without their prefix where they are read."""
    page = Metrics(CollectorRegistry()).page().decode()
    gauges = (ROOM / "gateway" / "gauges.py").read_text()
    named = set(re.findall(r"seekserve_(\w+)", scaling.WAITING + scaling.FULL))
    assert len(named) == 4
    for name in named:
        whole = f"seekserve_{name.removesuffix('_count').removesuffix('_bucket')}"
        assert f"# TYPE {whole} " in page or f'"{name}"' in gauges, name
    assert scaling.SLOW_S in WAIT_BUCKETS
    (target,) = flagship()["autoscaling/scaledobject.yaml"]
    reserve = flagship()["autoscaling/engine.yaml"][0]
    assert target["spec"]["scaleTargetRef"] == {
        "apiVersion": reserve["apiVersion"],
        "kind": reserve["kind"],
        "name": reserve["metadata"]["name"],
    }


def test_nodes_beyond_the_second_reckon_their_rank_from_their_index() -> None:
    one = ordered("flagship", Hardware(gpu="h100-80g", count=8, nodes=4))
    plan = one.plans[0]
    _, *rest = enginepod.commands(one, plan)
    assert len(rest) == 3
    shell, flag, line = enginepod.ranked(list(rest))
    for command in rest:
        told = subprocess.run(
            [shell, flag, line.replace("exec ", "printf '%s\\n' ", 1)],
            env={"LWS_WORKER_INDEX": str(command.node), "LWS_LEADER_ADDRESS": "head"},
            capture_output=True,
            text=True,
            check=True,
        )
        wanted = [word.replace("$(LWS_LEADER_ADDRESS)", "head") for word in command.argv]
        assert told.stdout.splitlines() == wanted, shlex.join(command.argv)


def test_what_cannot_be_on_kubernetes_is_said() -> None:
    with pytest.raises(ConfigError, match="no image of seekserve for Intel Gaudi"):
        kubernetes(ordered("enterprise", Hardware(gpu="gaudi3", count=2)))
    with pytest.raises(ConfigError, match="by one plan") as raised:
        kubernetes(ordered("consumer"))
    assert "rtx-4090:1" in raised.value.todo
    with pytest.raises(ConfigError, match="cannot be spread over pods"):
        kubernetes(ordered("demo", nodes=2))
