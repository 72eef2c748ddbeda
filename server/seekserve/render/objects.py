"""What the Kubernetes objects share: names, labels, how a pod is kept in, where secrets come from. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

NAME = NAMESPACE = "seekserve"
SECRET = "seekserve"  # noqa: S105  the name of the object that holds them
API, OPS = "api", "ops"
API_PORT, OPS_PORT = 8000, 9464
USER = 10001
SECRETS = "/run/secrets/seekserve"
# What the vendors' device plugins call their devices.
DEVICES = {
    "cuda": "nvidia.com/gpu",
    "rocm": "amd.com/gpu",
    "ascend": "huawei.com/Ascend910",
    "tpu": "google.com/tpu",
    "xpu": "gpu.intel.com/xe",
}
STATE, MODELS, SCRATCH = "/var/lib/seekserve", "/models", "/tmp"  # noqa: S108


def engine_url(number: int) -> str:
    return f"http://{engine_front(number)}:{API_PORT}"


def engine_front(number: int) -> str:
    """The Service's name; the engine's own is taken by what LeaderWorkerSet makes for its pods."""
    return f"engine-{number}-{API}"


def device_limits(platform: str, count: int) -> dict[str, str]:
    return {DEVICES[platform]: str(count)} if platform in DEVICES else {}


def labels(part: str, instance: str = "") -> dict[str, str]:
    known = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": part}
    return known | ({"app.kubernetes.io/instance": instance} if instance else {})


def metadata(name: str, part: str, instance: str = "") -> Object:
    return {"name": name, "namespace": NAMESPACE, "labels": labels(part, instance)}


def selector(part: str, instance: str = "") -> Object:
    return {"matchLabels": labels(part, instance)}


def named(secret: str, key: str) -> Object:
    return {"name": secret, "key": key}


def from_secret(variable: str, key: str, optional: bool = False) -> Object:
    where = named(SECRET, key) | ({"optional": True} if optional else {})
    return {"name": variable, "valueFrom": {"secretKeyRef": where}}


def values(env: dict[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in env.items()]


def pod(containers: list[Object], volumes: list[Object], grace_s: int) -> Object:
    """Nobody's rights, and nothing of the cluster's: no account's token, no variables of its services."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
        "volumes": volumes,
    }


def kept_in() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def claim(name: str, part: str, gib: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(name, part),
        "spec": claim_spec(gib),
    }


def claim_spec(gib: int) -> Object:
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{gib}Gi"}},
    }


def empty(name: str, **how: str) -> Object:
    return {"name": name, "emptyDir": how}


def claimed(name: str, claim_name: str) -> Object:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim_name}}


def mounts(**paths: str) -> list[Object]:
    return [{"name": name, "mountPath": path} for name, path in paths.items()]


def asking(path: str, port: str, **how: int) -> Object:
    return {"httpGet": {"path": path, "port": port}, **how}


def running(command: list[str], **how: int) -> Object:
    return {"exec": {"command": command}, **how}
