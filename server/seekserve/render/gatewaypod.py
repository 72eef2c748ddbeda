"""The gateway's objects: its tier's settings, its state, the Deployment and the Service. Pure.

A tier without a ladder has no engines apart: the same pod then runs the engine too, under our supervisor.
"""

from __future__ import annotations

from seekserve.plan.settled import settled
from seekserve.render.objects import (
    API,
    API_PORT,
    MODELS,
    OPS,
    OPS_PORT,
    SCRATCH,
    SECRET,
    SECRETS,
    STATE,
    Object,
    asking,
    claim,
    claimed,
    device_limits,
    empty,
    engine_url,
    kept_in,
    labels,
    metadata,
    mounts,
    pod,
    selector,
    values,
)
from seekserve.render.order import Order
from seekserve.render.page import yaml_text
from seekserve.settings import Listen

PART = "gateway"
TIER = "/etc/seekserve"
LEFT_S = 5  # between the pod's end and the last load balancer that knows of it
STATE_GIB, MODELS_GIB = 10, 50


def gateway_objects(ordered: Order) -> list[Object]:
    text = tier_text(ordered)
    claims = [claim("state", PART, STATE_GIB)]
    claims += [] if ordered.tier.ladder else [claim("models", PART, MODELS_GIB)]
    return [*([_settings(text)] if text else []), *claims, _deployment(ordered), _front()]


def tier_text(ordered: Order) -> str:
    """The tier file that the gateway reads: the tier's own with what the plan settled, and no choice left."""
    tier = ordered.tier
    if not tier.ladder:
        said = tier.model_dump(mode="json", exclude_unset=True)
        return yaml_text(said) if ordered.asked.path else ""
    plan = ordered.plans[0]
    family = plan.subject.family
    whole = settled(tier, plan, (plan.subject.name,))
    chosen = {"ladder", "hardware", "prefer", "floor_tokens_per_s", "engine"}
    said = whole.model_dump(mode="json", exclude_unset=True, exclude=chosen)
    engine = {"family": family.id if family else "", "args": {"scheduling-policy": "priority"}}
    return yaml_text(said | {"engine": engine})


def _settings(text: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata("tier", PART),
        "data": {"tier.yaml": text},
    }


def _deployment(ordered: Order) -> Object:
    apart = bool(ordered.tier.ladder)
    grace = LEFT_S + (int(Listen().drain_s) + 10 if apart else ordered.grace_s)
    volumes = [claimed("state", "state"), _secrets(), empty("scratch")]
    if tier_text(ordered):
        volumes.append({"name": "tier", "configMap": {"name": "tier"}})
    if not apart:
        volumes += [claimed("models", "models"), empty("shm", medium="Memory", sizeLimit="4Gi")]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(PART, PART),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": selector(PART),
            "template": {
                "metadata": {"labels": labels(PART)},
                "spec": pod([_container(ordered, volumes)], volumes, grace),
            },
        },
    }


PATHS = {
    "state": STATE,
    "secrets": SECRETS,
    "scratch": SCRATCH,
    "tier": TIER,
    "models": MODELS,
    "shm": "/dev/shm",  # noqa: S108
}


def _container(ordered: Order, volumes: list[Object]) -> Object:
    apart = bool(ordered.tier.ladder)
    target = PART if apart else ordered.platform.id
    return {
        "name": PART,
        "image": f"seekserve:{ordered.asked.version}-{target}",
        "args": _arguments(ordered),
        "env": values(_files(apart)),
        "ports": [
            {"name": API, "containerPort": API_PORT},
            {"name": OPS, "containerPort": OPS_PORT},
        ],
        "startupProbe": asking("/health/live", API, periodSeconds=5, failureThreshold=24),
        "livenessProbe": asking("/health/live", API, periodSeconds=10, failureThreshold=6),
        "readinessProbe": asking("/health/ready", API, periodSeconds=5, failureThreshold=2),
        "lifecycle": {"preStop": {"sleep": {"seconds": LEFT_S}}},
        "resources": _resources(ordered, apart),
        "securityContext": kept_in(),
        "volumeMounts": mounts(**{one["name"]: PATHS[one["name"]] for one in volumes}),
    }


def _arguments(ordered: Order) -> list[str]:
    path = f"{TIER}/tier.yaml" if tier_text(ordered) else ordered.tier.tier
    words = ["serve", "--tier", path, "--host", "0.0.0.0", "--log-format", "json"]  # noqa: S104
    words += ["--ops", f"0.0.0.0:{OPS_PORT}"]
    return words + (["--engine", engine_url(0)] if ordered.tier.ladder else [])


def _files(apart: bool) -> dict[str, str]:
    names = {
        "SEEKSERVE_API_KEY_FILE": "api_key",
        "SEEKSERVE_OPS_TOKEN_FILE": "ops_token",
        "SEEKSERVE_ENGINE_API_KEY_FILE": "engine_api_key",
    }
    return {
        variable: f"{SECRETS}/{name}"
        for variable, name in names.items()
        if apart or name != "engine_api_key"
    }


def _resources(ordered: Order, apart: bool) -> Object:
    if apart:
        return {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    asked: Object = {"requests": {"cpu": "2", "memory": "6Gi"}}
    limits = device_limits(ordered.platform.id, ordered.count or 1)
    return asked | ({"limits": limits} if limits else {})


def _secrets() -> Object:
    return {"name": "secrets", "secret": {"secretName": SECRET, "defaultMode": 0o440}}


def _front() -> Object:
    ports = [(API, API_PORT), (OPS, OPS_PORT)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata("seekserve", PART),
        "spec": {
            "selector": labels(PART),
            "ports": [{"name": name, "port": port, "targetPort": name} for name, port in ports],
        },
    }
