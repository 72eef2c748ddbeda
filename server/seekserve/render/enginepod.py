"""One engine's objects: vLLM by the planner's own command, on one node or on several. Pure.

Nobody of ours minds it there, so the cluster does: ready when vLLM says so, alive while it makes tokens
(`seekserve prove`). Nodes of one engine end and begin together.
"""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

from seekserve.plan.command import Platform, environment
from seekserve.plan.commands import node_commands
from seekserve.plan.formats import alike
from seekserve.plan.memory import GIB
from seekserve.plan.wish import NodeCommand, Plan
from seekserve.render.objects import (
    API,
    API_PORT,
    MODELS,
    SCRATCH,
    STATE,
    Object,
    asking,
    claim,
    claim_spec,
    claimed,
    device_limits,
    empty,
    engine_front,
    from_secret,
    kept_in,
    labels,
    metadata,
    mounts,
    pod,
    running,
    selector,
    values,
)
from seekserve.render.order import AFTER_S, Order, only

PART = "engine"
TEMPLATES = Path("/usr/share/seekserve/templates")  # in every image
LEADER = "$(LWS_LEADER_ADDRESS)"
INDEX = "LWS_WORKER_INDEX"
SERVES = {"seekserve-serves": "true"}  # the pod of an engine that has its API
PROVE_S, PROOF_S, POLL_S = 60, 20, 10
SHM_GIB = 16
ROOM = 1.15  # beyond a checkpoint's own size on disk
SPARE_GIB, EACH_GIB = 8, 8  # of a host's memory: for a pod, and for each device


def engine_objects(ordered: Order, number: int) -> list[Object]:
    plan, name = only(ordered), f"{PART}-{number}"
    nodes = commands(ordered, plan)
    if len(nodes) > 1:
        return [_set(ordered, plan, name, nodes), _front(number)]
    models = claim(f"models-{number}", PART, disk_gib(plan))
    return [models, _deployment(ordered, plan, number, nodes[0]), _front(number)]


def commands(ordered: Order, plan: Plan) -> tuple[NodeCommand, ...]:
    """As in the image: its templates, its leader's address, and the name that clients use."""
    return node_commands(
        plan,
        ordered.catalog,
        served_as=(plan.subject.name,),
        master=LEADER,
        templates=TEMPLATES,
    )


def grace_s(ordered: Order) -> int:
    engine = ordered.tier.engine
    return int(engine.drain_s + engine.stop_grace_s + AFTER_S)


def disk_gib(plan: Plan) -> int:
    """For the weights, and for what is compiled."""
    known = plan.subject.variants
    variant = known.get(alike(plan.weights, known))
    size = variant.disk_gb * 1e9 if variant else plan.weights_bytes * plan.cluster.gpus
    return math.ceil(size * ROOM / GIB / 10 + 2) * 10


def _deployment(ordered: Order, plan: Plan, number: int, command: NodeCommand) -> Object:
    name = f"{PART}-{number}"
    models = claimed("models", f"models-{number}")
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, PART, name),
        "spec": {
            "strategy": {"type": "Recreate"},
            "progressDeadlineSeconds": int(ordered.tier.engine.start_timeout_s) + PROVE_S,
            "selector": selector(PART, name),
            "template": _template(ordered, plan, name, command, list(command.argv), [models]),
        },
    }


def _set(ordered: Order, plan: Plan, name: str, nodes: tuple[NodeCommand, ...]) -> Object:
    """Each pod fetches the model for itself, onto a disk of its own."""
    head, *rest = nodes
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": metadata(name, PART, name),
        "spec": {
            "leaderWorkerTemplate": {
                "size": len(nodes),
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": _template(ordered, plan, name, head, list(head.argv), []),
                "workerTemplate": _template(ordered, plan, name, rest[0], ranked(rest), []),
                "volumeClaimTemplates": [
                    {"metadata": {"name": "models"}, "spec": claim_spec(disk_gib(plan))}
                ],
            },
        },
    }


def ranked(rest: list[NodeCommand]) -> list[str]:
    """One command for all nodes but the first: what counts up with them is reckoned from the pod's index."""
    first = rest[0].argv
    if len(rest) == 1:
        return list(first)
    words = [
        _counted(word, others) for word, *others in zip(*(one.argv for one in rest), strict=True)
    ]
    line = re.sub(r"\$\((\w+)\)", r"${\1}", " ".join(words))
    return ["/bin/sh", "-c", f"exec {line}"]


def _counted(word: str, others: list[str]) -> str:
    if all(other == word for other in others):
        return word if word == LEADER else shlex.quote(word)
    return f"$(({INDEX} * {int(word)}))" if int(word) > 1 else f"${{{INDEX}}}"


def _template(
    ordered: Order,
    plan: Plan,
    name: str,
    command: NodeCommand,
    argv: list[str],
    models: list[Object],
) -> Object:
    serves = command.node == 0
    volumes = [
        empty("home"),
        empty("scratch"),
        empty("shm", medium="Memory", sizeLimit=f"{SHM_GIB}Gi"),
        *models,
    ]
    container: Object = {
        "name": PART,
        "image": ordered.image,
        "command": [*argv, "--host", "0.0.0.0", "--port", str(API_PORT)] if serves else argv,  # noqa: S104
        "env": _environment(ordered, command),
        "resources": _resources(plan),
        "securityContext": kept_in(),
        "volumeMounts": mounts(home=STATE, scratch=SCRATCH, shm="/dev/shm", models=MODELS),  # noqa: S108
    }
    if serves:
        container |= {"ports": [{"name": API, "containerPort": API_PORT}], **_watched(ordered)}
    spec = pod([container], volumes, grace_s(ordered))
    return {"metadata": {"labels": labels(PART, name) | (SERVES if serves else {})}, "spec": spec}


def _watched(ordered: Order) -> Object:
    """The gateway sends nothing new to a pod that is ending; what it has there may run on for as long."""
    engine = ordered.tier.engine
    proof = ["seekserve", "prove", f"http://127.0.0.1:{API_PORT}"]
    started = math.ceil(engine.start_timeout_s / POLL_S)
    amiss = max(2, math.ceil(engine.stall_s / PROVE_S))
    return {
        "startupProbe": asking("/health", API, periodSeconds=POLL_S, failureThreshold=started),
        "readinessProbe": asking("/health", API, periodSeconds=POLL_S, failureThreshold=3),
        "livenessProbe": running(
            proof, periodSeconds=PROVE_S, timeoutSeconds=PROOF_S, failureThreshold=amiss
        ),
        "lifecycle": {"preStop": {"sleep": {"seconds": int(engine.drain_s)}}},
    }


def _environment(ordered: Order, command: NodeCommand) -> list[Object]:
    """vLLM takes its key from the environment alone."""
    platform: Platform = "cpu" if ordered.platform.id == "cpu" else "cuda"
    tiers = environment(ordered.tier.engine, platform, ordered.tier.limits, Path(SCRATCH))
    env = {
        name: value.replace("$(", "$$(") for name, value in tiers.items()
    }  # a text, no reference
    env |= command.env
    address: list[Object] = []
    if ordered.asked.nodes > 1:
        del env["VLLM_HOST_IP"]
        field = {"fieldRef": {"fieldPath": "status.podIP"}}
        address = [{"name": "VLLM_HOST_IP", "valueFrom": field}]
    secrets = [from_secret("HF_TOKEN", "hf_token", optional=True)]
    if command.node == 0:
        names = ("VLLM_API_KEY", "SEEKSERVE_ENGINE_API_KEY")
        secrets += [from_secret(name, "engine_api_key") for name in names]
    return [*values(env), *address, *secrets]


def _resources(plan: Plan) -> Object:
    """Devices are for it alone. Memory is asked for, not capped: pages of files count as well."""
    count = plan.cluster.per_node
    if plan.cluster.platform.id == "cpu":
        over = plan.overhead.total if plan.overhead else 0
        held = (plan.weights_bytes + plan.kv_bytes + over) / GIB
        return {"requests": {"cpu": "4", "memory": f"{math.ceil(held + SPARE_GIB)}Gi"}}
    memory = math.ceil(SPARE_GIB + EACH_GIB * count + plan.subject.host_gib)
    return {
        "requests": {"cpu": str(2 + 2 * count), "memory": f"{memory}Gi"},
        "limits": device_limits(plan.cluster.platform.id, count),
    }


def _front(number: int) -> Object:
    name = f"{PART}-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(engine_front(number), PART, name),
        "spec": {
            "selector": labels(PART, name) | SERVES,
            "ports": [{"name": API, "port": API_PORT, "targetPort": API}],
        },
    }
