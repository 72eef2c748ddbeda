"""An order -> the files of one Kubernetes folder, for `kubectl apply -k`. Pure.

The gateway is one process, because the queue and the ledger are. Engines are apart from it, started by the
planner's own command: a Deployment where a node is enough, else a LeaderWorkerSet. Secrets are referenced,
never rendered.
"""

from __future__ import annotations

from seekserve.errors import ConfigError
from seekserve.render import fences, scaling
from seekserve.render.enginepod import engine_objects
from seekserve.render.gatewaypod import gateway_objects
from seekserve.render.objects import NAMESPACE, OPS, SECRET, Object, metadata, named, selector
from seekserve.render.order import Order, only
from seekserve.render.page import heading, page

SECRETS_NOTE = (
    "The secrets come first, once; keep the file of the API key, it is in no other place:\n"
    "  kubectl create namespace {namespace}\n"
    "  (umask 077; for name in {names}; do openssl rand -hex 32 | tr -d '\\n' > $name; done)\n"
    "  kubectl -n {namespace} create secret generic {secret} {files}\n"
    "For models that want a token, hf_token is another of its keys. Then:\n"
    "  kubectl apply -k ."
)
IMAGE_NOTE = (
    "A registry's own name goes in front of the images by kustomize: "
    "images: [{name: seekserve, newName: registry.example/seekserve}]."
)
FENCE_NOTE = (
    'Clients are let in from namespaces labelled seekserve-clients: "true" (label an ingress controller\'s '
    "so), Prometheus from the namespace monitoring."
)
NODES_NOTE = (
    "LeaderWorkerSet must be installed in the cluster (leaderworkerset.x-k8s.io/v1). Nodes talk over the "
    "pods' network; for InfiniBand or RoCE the cluster's own device plugin and network must be added."
)
OWNER_NOTE = (
    "Devices of {platform} are not world-readable: containerd gives them to the pod's user with "
    "device_ownership_from_security_context = true. The vendor's pages use privileged pods instead; these "
    "are not, and have not been tried on such a cluster."
)
SCALING_NOTE = (
    "A second engine for when requests wait (it wants KEDA, and Prometheus at the address in it): add to "
    "this file components: [autoscaling]."
)


def kubernetes(ordered: Order) -> dict[str, str]:
    """Paths and texts."""
    _can(ordered)
    apart = bool(ordered.tier.ladder)
    if apart:
        only(ordered)
    tier = ordered.tier.tier
    files = {
        "namespace.yaml": page(
            ["The namespace, closed to pods with more than they need."], _space()
        ),
        "gateway.yaml": page(
            ["The gateway: what clients speak to. One process holds the queue and the ledger."],
            *gateway_objects(ordered),
        ),
        "network.yaml": page(
            ["Nothing is let through but what is named here."], *fences.fences(ordered)
        ),
        "disruption.yaml": page(
            [
                "Each is the only one of its kind, so a drain of its node waits until you delete the pod."
            ],
            *_budgets(apart),
        ),
        "monitor.yaml": page(
            ["Prometheus' operator scrapes the gateway, which tells its engines' figures too."],
            _monitor(),
        ),
    }
    if apart:
        files["engine.yaml"] = page(
            [f"The engine, by the plan for the tier {tier}."], *engine_objects(ordered, 0)
        )
        files |= scaling.scaling(ordered)
    return {"kustomization.yaml": _top(ordered, sorted(files))} | files


def _can(ordered: Order) -> None:
    """Raises ConfigError for what only other kinds can do."""
    if ordered.image is None:
        raise ConfigError(
            f"There is no image of seekserve for {ordered.platform.name}.",
            "Render compose, which takes an image of yours (SEEKSERVE_IMAGE), or another --platform.",
        )
    if not ordered.tier.ladder and ordered.asked.nodes > 1:
        raise ConfigError(
            f"The tier {ordered.tier.tier} is not planned, so its engine cannot be spread over pods.",
            "Leave --nodes out; or give the tier a ladder, or render compose.",
        )


def _top(ordered: Order, files: list[str]) -> str:
    what = f"seekserve's tier {ordered.tier.tier} on Kubernetes, {ordered.platform.name}."
    notes = [_secrets(ordered), IMAGE_NOTE, FENCE_NOTE]
    if ordered.asked.nodes > 1:
        notes.append(NODES_NOTE)
    if ordered.platform.id not in ("cpu", "cuda"):
        notes.append(OWNER_NOTE.format(platform=ordered.platform.name))
    if ordered.tier.ladder:
        notes.append(SCALING_NOTE)
    top: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": [name for name in files if "/" not in name],
    }
    return page(heading(ordered, what, notes), top)


def _secrets(ordered: Order) -> str:
    names = ["api_key", "ops_token", *(["engine_api_key"] if ordered.tier.ladder else [])]
    files = " ".join(f"--from-file={name}" for name in names)
    return SECRETS_NOTE.format(
        namespace=NAMESPACE, secret=SECRET, names=" ".join(names), files=files
    )


def _space() -> Object:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    }


def _budgets(apart: bool) -> list[Object]:
    """One that is not healthy anyway never holds a drain up."""
    parts = ["gateway", *(["engine"] if apart else [])]
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(part, part),
            "spec": {
                "maxUnavailable": 0,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": selector(part),
            },
        }
        for part in parts
    ]


def _monitor() -> Object:
    """The job is called after the label that the service has: seekserve."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata("gateway", "gateway"),
        "spec": {
            "jobLabel": "app.kubernetes.io/name",
            "selector": selector("gateway"),
            "endpoints": [
                {
                    "port": OPS,
                    "path": "/metrics",
                    "interval": "15s",
                    "authorization": {"credentials": named(SECRET, "ops_token")},
                }
            ],
        },
    }
