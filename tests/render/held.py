"""What rendered objects are held to: Kubernetes' own schemas, strict, and those in schemas/ for the rest."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import yaml
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from seekserve.plan.catalog import load_catalog
from seekserve.render.order import Order
from seekserve.render.rendering import RENDER, orders

VERSION = "1.37"
FOLDER = f"kubernetes-json-schema/v{VERSION}.0-local-strict"
SCHEMAS = Path(__file__).parent / "schemas"
CUSTOM = {"LeaderWorkerSet", "ScaledObject", "ServiceMonitor"}
KUSTOMIZE = {
    "Kustomization": {"namespace", "resources"},
    "Component": {"resources", "patches"},
}


CATALOG = load_catalog()


@functools.cache
def ordered() -> tuple[tuple[str, Order], ...]:
    """Every order of what is shipped, with its folder under deploy/. Planned once: it takes a second."""
    return tuple(orders(CATALOG))


@functools.cache
def made() -> dict[str, str]:
    """Everything that is to be under deploy/, by its path there."""
    return {
        f"{folder}/{name}": text
        for folder, one in ordered()
        for name, text in RENDER[one.asked.kind](one).items()
    }


@functools.cache
def parsed(text: str) -> tuple[Any, ...]:
    """A YAML text's documents; by libyaml where it is, ten times as fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(yaml.load_all(text, loader))


def complaints(one: dict[str, Any]) -> list[str]:
    """What is wrong with an object; templates of custom kinds are asked about too."""
    kind = one["kind"]
    if kind in KUSTOMIZE:
        return sorted(set(one) - KUSTOMIZE[kind] - {"apiVersion", "kind"})
    found = [f"{kind} {e.json_path}: {e.message[:200]}" for e in _asked(one).iter_errors(one)]
    if kind == "LeaderWorkerSet":
        group = one["spec"]["leaderWorkerTemplate"]
        for name in ("leaderTemplate", "workerTemplate"):
            pods = {"apiVersion": "v1", "kind": "PodTemplate", "template": group[name]}
            found += complaints(pods)
        for claim in group["volumeClaimTemplates"]:
            found += complaints({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    return found


def _asked(one: dict[str, Any]) -> Any:
    group, _, version = one["apiVersion"].rpartition("/")
    name = f"{group.partition('.')[0]}-{version}" if group else version
    return validator(one["kind"].lower(), "" if one["kind"] in CUSTOM else name)


@functools.cache
def validator(kind: str, version: str) -> Any:
    from jsonschema import Draft202012Validator  # slow to load, and every worker collects this file

    if not version:
        return Draft202012Validator(json.loads((SCHEMAS / f"{kind}.json").read_text()))
    schema = schema_contents(f"{FOLDER}/{kind}-{version}.json", VERSION)
    return Draft202012Validator(schema, registry=_definitions())


@functools.cache
def _definitions() -> Any:
    """Read once: it is 1.8 MB."""
    contents = schema_contents(f"{FOLDER}/_definitions.json", VERSION)
    return Resource.from_contents(contents) @ Registry()
