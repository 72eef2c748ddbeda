"""A second engine that KEDA starts when requests wait, as a kustomize component. An example. Pure.

Each engine keeps a name of its own, since the gateway balances by what it knows of each: several pods
behind one name would be one engine to it.
"""

from __future__ import annotations

from seekserve.render.enginepod import engine_objects
from seekserve.render.objects import Object, engine_url, metadata
from seekserve.render.order import Order
from seekserve.render.page import page

FOLDER, NUMBER = "autoscaling", 1
PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
SLOW_S = 5  # a bucket's bound of the histogram
# Requests a second that waited longer than that; and how full the engines are, of what they can hold.
WAITING = (
    'sum(rate(seekserve_queue_wait_seconds_count{job="seekserve"}[2m])) - '
    f'sum(rate(seekserve_queue_wait_seconds_bucket{{job="seekserve",le="{SLOW_S}.0"}}[2m])) or vector(0)'
)
FULL = (
    'max(seekserve_tokens_in_flight{job="seekserve"} / '
    'seekserve_token_capacity{job="seekserve"}) or vector(0)'
)
TRIGGERS = (("waiting", WAITING, "0.1"), ("full", FULL, "0.85"))
HEADING = [
    f"A second engine while it is needed. KEDA starts it when requests wait for more than {SLOW_S} s, or "
    "when an engine's cache is over 85 % spoken for, and ends it half an hour after that is over.",
    "The gateway knows it from the start, and gives it requests once it is ready. Its devices must be free "
    f"somewhere. Prometheus is looked for at {PROMETHEUS}.",
]


def scaling(ordered: Order) -> dict[str, str]:
    component: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["engine.yaml", "scaledobject.yaml"],
        "patches": [{"target": {"kind": "Deployment", "name": "gateway"}, "patch": _patch()}],
    }
    engine = page(["The engine in reserve, like the first."], *engine_objects(ordered, NUMBER))
    return {
        f"{FOLDER}/kustomization.yaml": page(HEADING, component),
        f"{FOLDER}/engine.yaml": engine,
        f"{FOLDER}/scaledobject.yaml": page(["When the reserve is started."], _scaled(ordered)),
    }


def _patch() -> str:
    path = "/spec/template/spec/containers/0/args/-"
    words = ("--engine", engine_url(NUMBER))
    return "".join(f"- op: add\n  path: {path}\n  value: {word}\n" for word in words)


def _scaled(ordered: Order) -> Object:
    several = ordered.asked.nodes > 1
    target = (
        {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet"}
        if several
        else {"apiVersion": "apps/v1", "kind": "Deployment"}
    )
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(f"engine-{NUMBER}", "engine", f"engine-{NUMBER}"),
        "spec": {
            "scaleTargetRef": target | {"name": f"engine-{NUMBER}"},
            "minReplicaCount": 0,
            "maxReplicaCount": 1,
            "pollingInterval": 15,
            "cooldownPeriod": 1800,
            "triggers": [_trigger(*one) for one in TRIGGERS],
        },
    }


def _trigger(name: str, query: str, bound: str) -> Object:
    return {
        "type": "prometheus",
        "name": name,
        "metadata": {
            "serverAddress": PROMETHEUS,
            "query": query,
            "threshold": bound,
            "activationThreshold": bound,
        },
    }
