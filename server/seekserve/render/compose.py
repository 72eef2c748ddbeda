"""An order -> compose files: one for a machine, or one for the head and one for every other node. Pure.

One container runs `seekserve serve`, whose own supervisor minds the engine. Only port 8000 is published,
on loopback. Scrapes go over a network that leads nowhere else.
"""

from __future__ import annotations

from typing import Any

from seekserve.render.beside import beside, minting
from seekserve.render.container import (
    Keys,
    devices,
    environment,
    guarded,
    host_network,
    notes,
    volumes,
)
from seekserve.render.order import Order
from seekserve.render.page import heading, page, yaml_text

PROJECT = "seekserve"
STATE, MODELS, SECRETS = "/var/lib/seekserve", "/models", "/run/secrets"
TIER_FILE = "/etc/seekserve/tier.yaml"
BIND, PORT = "${SEEKSERVE_BIND:-127.0.0.1}", "${SEEKSERVE_PORT:-8000}"
HEAD = "${HEAD_ADDRESS:?the address of the head on the private network of the nodes}"
OPS_PORT, INSIDE, OUTSIDE = 9464, "inside", "outside"
# Named by a path, a folder of files; else a volume whose secrets are made on the first start.
SECRETS_HERE = "${SEEKSERVE_SECRETS:-secrets}"
SECRETS_MUST = "${SEEKSERVE_SECRETS:?a folder with the file node_token, the same on every node}"
LOGGING = {"driver": "json-file", "options": {"max-size": "50m", "max-file": "5"}}

KEY_NOTE = (
    "The first start makes an API key and shows it once: docker compose logs seekserve. For secrets of your "
    "own, readable by user 10001, set the whole path of a folder, and what there is in it\n"
    "  SEEKSERVE_SECRETS=$PWD/secrets\n"
    "  SEEKSERVE_API_KEY_FILE=/run/secrets/api_key    HF_TOKEN_FILE=/run/secrets/hf_token"
)
NODE_NOTE = (
    "Every node wants the same node_token, in a folder that is copied to all of them. Containers of several "
    "users read in it, so the folder around it is what keeps others of this machine out:\n"
    "  mkdir -m 700 -p own\n"
    "  (umask 022; mkdir -p own/secrets; openssl rand -hex 32 > own/secrets/node_token)\n"
    "  export SEEKSERVE_SECRETS=$PWD/own/secrets HEAD_ADDRESS=10.0.0.1   # the head, on their own network"
)
PLACE_NOTE = (
    "Elsewhere than in a checkout's deploy/compose, SEEKSERVE_SOURCE names the checkout (the image is built "
    "from it) and SEEKSERVE_DEPLOY its deploy/ (for --profile watch: Prometheus on 127.0.0.1:9090, Grafana "
    "on 127.0.0.1:3000). SEEKSERVE_BIND=0.0.0.0 lets other machines in at port 8000."
)


def compose(ordered: Order) -> dict[str, str]:
    """Paths and texts."""
    files = _nodes(ordered) if ordered.asked.nodes > 1 else _one(ordered)
    if ordered.asked.path:
        said = ordered.tier.model_dump(mode="json", exclude_unset=True)
        files[tier_name(ordered)] = yaml_text(said)
    return files


def tier_name(ordered: Order) -> str:
    """A tier file of one's own lies beside what mounts it."""
    return f"{ordered.stem}.tier.yaml"


def _one(ordered: Order) -> dict[str, str]:
    what = f"seekserve's tier {ordered.tier.tier} on {ordered.platform.name}, one machine."
    told = [KEY_NOTE, PLACE_NOTE, *_image_notes(ordered), *notes(ordered)]
    spec = _project(ordered, _server(ordered), SECRETS_HERE)
    return {f"{ordered.stem}.yaml": page(heading(ordered, what, told), spec)}


def _nodes(ordered: Order) -> dict[str, str]:
    nodes = ordered.asked.nodes
    told = [NODE_NOTE, PLACE_NOTE, *_image_notes(ordered), *_rdma_notes(ordered), *notes(ordered)]
    head = _project(ordered, _server(ordered), SECRETS_MUST)
    what = f"seekserve's tier {ordered.tier.tier} on {nodes} nodes of {ordered.platform.name}"
    kept: Keys = {"state": {}, "models": {}}
    join = {"name": PROJECT, "services": {"seekserve": _worker(ordered)}, "volumes": kept}
    return {
        f"{ordered.stem}.head.yaml": page(heading(ordered, f"{what}: the head.", told), head),
        f"{ordered.stem}.worker.yaml": page(
            heading(ordered, f"{what}: each of the other nodes.", told), join
        ),
    }


def _project(ordered: Order, server: Keys, secrets: str) -> Keys:
    host = host_network(ordered)
    watching = beside(host, secrets)
    kept = ["state", "models", "prometheus", "grafana"]
    kept += ["secrets"] if secrets is SECRETS_HERE else []
    spec: Keys = {
        "name": PROJECT,
        "services": {"secrets": minting(_image(ordered), secrets), "seekserve": server, **watching},
        "volumes": {name: {} for name in kept},
    }
    if not host:
        spec["networks"] = {OUTSIDE: {}, INSIDE: {"internal": True}}
    return spec


def _server(ordered: Order) -> Keys:
    made = {"secrets": {"condition": "service_completed_successfully"}}
    mine = {"depends_on": made, "healthcheck": _health(ordered), "logging": LOGGING}
    return _container(ordered, _serve(ordered), _environment(ordered)) | mine


def _worker(ordered: Order) -> Keys:
    """Its head says whether it is missing, so it is not asked itself."""
    env = _node_token(ordered) | environment(ordered)
    mine = {"healthcheck": {"disable": True}, "logging": LOGGING}
    return _container(ordered, ["join", HEAD], env) | mine


def _container(ordered: Order, command: list[str], env: dict[str, str]) -> Keys:
    keys: Keys = _image(ordered) | {"command": command, "init": True, "restart": "unless-stopped"}
    keys |= {"stop_grace_period": f"{ordered.grace_s}s", "environment": env}
    keys |= {"volumes": _volumes(ordered)}
    return keys | guarded(ordered, devices(ordered)) | _network(ordered)


def _image(ordered: Order) -> Keys:
    """Built here where it is not there yet."""
    if ordered.image is None:
        return {"image": "${SEEKSERVE_IMAGE:?an image with seekserve on this platform's vLLM}"}
    build = {"context": "${SEEKSERVE_SOURCE:-../..}", "target": ordered.platform.id}
    return {"image": f"${{SEEKSERVE_IMAGE:-{ordered.image}}}", "build": build}


def _serve(ordered: Order) -> list[str]:
    """On a network of its own it listens everywhere; on the host's, where it is told to."""
    host = host_network(ordered)
    tier = TIER_FILE if ordered.asked.path else ordered.tier.tier
    words = ["serve", "--tier", tier, "--first-key"]
    words += ["--host", BIND, "--port", PORT] if host else ["--host", "0.0.0.0"]  # noqa: S104
    words += ["--ops", f"{'127.0.0.1' if host else '0.0.0.0'}:{OPS_PORT}"]  # noqa: S104
    if ordered.asked.nodes > 1:
        words += ["--nodes", str(ordered.asked.nodes), "--cluster", HEAD]
    return words


def _environment(ordered: Order) -> dict[str, str]:
    """An empty variable is none: what is optional is said to be."""
    ours = {
        "SEEKSERVE_API_KEY_FILE": "${SEEKSERVE_API_KEY_FILE:-}",
        "SEEKSERVE_OPS_TOKEN_FILE": f"{SECRETS}/ops_token",
        "HF_TOKEN_FILE": "${HF_TOKEN_FILE:-}",
    }
    return ours | _node_token(ordered) | environment(ordered)


def _node_token(ordered: Order) -> dict[str, str]:
    token = {"SEEKSERVE_NODE_TOKEN_FILE": f"{SECRETS}/node_token"}
    return token if ordered.asked.nodes > 1 else {}


def _volumes(ordered: Order) -> list[str]:
    secrets = SECRETS_MUST if ordered.asked.nodes > 1 else SECRETS_HERE
    kept = [f"state:{STATE}", f"models:{MODELS}", f"{secrets}:{SECRETS}:ro"]
    kept += [f"./{tier_name(ordered)}:{TIER_FILE}:ro"] if ordered.asked.path else []
    return kept + volumes(ordered)


def _network(ordered: Order) -> Keys:
    if host_network(ordered):
        return {"network_mode": "host"}
    return {"ports": [f"{BIND}:{PORT}:8000"], "networks": [OUTSIDE, INSIDE]}


def _health(ordered: Order) -> dict[str, Any]:
    """A first start may download for as long as the tier allows; until then nothing counts as a failure."""
    return {
        "test": ["CMD", "seekserve", "ready"],
        "interval": "10s",
        "timeout": "6s",
        "retries": 3,
        "start_period": f"{int(ordered.tier.engine.start_timeout_s)}s",
    }


def _image_notes(ordered: Order) -> list[str]:
    if ordered.image:
        return []
    return [
        f"There is no image of seekserve for {ordered.platform.name}. Put it on {ordered.platform.image}, "
        "as the Dockerfile's other targets do on theirs, and name the result in SEEKSERVE_IMAGE."
    ]


def _rdma_notes(ordered: Order) -> list[str]:
    if ordered.asked.rdma:
        return []
    return ["Nodes that are linked by InfiniBand or RoCE: render with --rdma."]
