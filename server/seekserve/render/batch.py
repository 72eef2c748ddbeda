"""An order -> a Slurm job for all its nodes, and a script for each node where there is no Slurm. Pure."""

from __future__ import annotations

import shlex

from seekserve.render.order import Order
from seekserve.render.page import comments, heading, yaml_text

JOB, HEAD, NODE = "seekserve.sbatch", "head.sh", "node.sh"
SECRETS = (
    "The folder SEEKSERVE_SECRETS, which all nodes see and you alone can read, holds api_key, ops_token and, "
    "with several nodes, node_token:\n"
    "  mkdir -m 700 -p ~/seekserve-secrets && cd ~/seekserve-secrets\n"
    "  (umask 077; for name in api_key ops_token node_token; do openssl rand -hex 32 > $name; done)\n"
    "  export SEEKSERVE_SECRETS=$PWD"
)
STARTS = "secrets=${SEEKSERVE_SECRETS:?a folder with files of secrets: the heading says which}"
HEAD_FILES = {
    "SEEKSERVE_API_KEY_FILE": "api_key",
    "SEEKSERVE_OPS_TOKEN_FILE": "ops_token",
}
NODE_FILES = {"SEEKSERVE_NODE_TOKEN_FILE": "node_token"}
SPARE_S = 30  # between the word to stop and the job's end, beyond what a stop takes


def batch(ordered: Order) -> dict[str, str]:
    """Paths and texts. With one node there is nothing to join."""
    files = {JOB: _job(ordered), HEAD: _head(ordered)}
    if ordered.asked.nodes > 1:
        files[NODE] = _node(ordered)
    if ordered.asked.path:
        said = ordered.tier.model_dump(mode="json", exclude_unset=True)
        files["tier.yaml"] = yaml_text(said)
    return files


def _serve(ordered: Order, address: str) -> str:
    tier = "tier.yaml" if ordered.asked.path else shlex.quote(ordered.tier.tier)
    host = '--host "${SEEKSERVE_HOST:-127.0.0.1}" --port "${SEEKSERVE_PORT:-8000}"'
    words = f"seekserve serve --tier {tier} {host} --ops 127.0.0.1:9464"
    nodes = ordered.asked.nodes
    return f'{words} --nodes {nodes} --cluster "{address}"' if nodes > 1 else words


def _script(ordered: Order, what: str, notes: list[str], *lines: str) -> str:
    return "#!/bin/bash\n" + comments(heading(ordered, what, notes)) + "\n".join(lines) + "\n"


def _exports(files: dict[str, str]) -> list[str]:
    return [f'export {variable}="$secrets/{name}"' for variable, name in files.items()]


def _files(ordered: Order) -> dict[str, str]:
    return HEAD_FILES | (NODE_FILES if ordered.asked.nodes > 1 else {})


def _head(ordered: Order) -> str:
    several = ordered.asked.nodes > 1
    what = f"seekserve's tier {ordered.tier.tier}, started by hand" + (
        ": the head." if several else "."
    )
    address = [
        "address=${HEAD_ADDRESS:?the address of this node on the private network of the nodes}"
    ]
    return _script(
        ordered,
        what,
        [SECRETS],
        "set -euo pipefail",
        STARTS,
        *(address if several else []),
        *_exports(_files(ordered)),
        f"exec {_serve(ordered, '$address')}",
    )


def _node(ordered: Order) -> str:
    return _script(
        ordered,
        f"A node of seekserve's tier {ordered.tier.tier}, started by hand: told what to run by the head.",
        [SECRETS],
        "set -euo pipefail",
        STARTS,
        "address=${HEAD_ADDRESS:?the address of the head on the private network of the nodes}",
        *_exports(NODE_FILES),
        'exec seekserve join "$address"',
    )


def _job(ordered: Order) -> str:
    nodes = ordered.asked.nodes
    stop_s = ordered.grace_s + SPARE_S
    gres = ordered.platform.id != "cpu"
    count = f":{ordered.count}" if ordered.count else ""
    options = [
        "--job-name=seekserve",
        f"--nodes={nodes}",
        "--ntasks-per-node=1",
        "--exclusive",
        *([f"--gres=gpu{count}"] if gres else []),
        "--mem=0",
        "--time=UNLIMITED",
        f"--signal=B:TERM@{stop_s}",
        "--requeue",
    ]
    told = [
        SECRETS,
        "Then: sbatch seekserve.sbatch. A site's own partition, account and time go on that command line, "
        "as --time does where UNLIMITED is not allowed. seekserve must be on PATH on every node; "
        "SEEKSERVE_HOST=0.0.0.0 lets other machines in.",
    ]
    what = (
        f"seekserve's tier {ordered.tier.tier} as a Slurm job on {nodes} node{'s' * (nodes > 1)}."
    )
    made = comments(heading(ordered, what, told))
    asked = "".join(f"#SBATCH {option}\n" for option in options)
    body = _several(ordered) if nodes > 1 else _alone(ordered)
    return f"#!/bin/bash\n{asked}{made}" + "\n".join(body) + "\n"


def _alone(ordered: Order) -> list[str]:
    return [
        "set -euo pipefail",
        STARTS,
        *_exports(_files(ordered)),
        f"exec {_serve(ordered, '')}",
    ]


def _several(ordered: Order) -> list[str]:
    """The head on the first node, `join` on the others. The job ends as the head does."""
    others = ordered.asked.nodes - 1
    return [
        "set -euo pipefail",
        STARTS,
        *_exports(_files(ordered)),
        "",
        'mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
        "first=${nodes[0]}",
        'others=$(IFS=,; echo "${nodes[*]:1}")',
        "# The first address of the first node, unless HEAD_ADDRESS names one on a faster network.",
        'address=${HEAD_ADDRESS:-$(srun -N 1 -n 1 -w "$first" hostname -I | cut -d " " -f 1)}',
        'echo "The head is $first, at $address for the other nodes."',
        "",
        "# srun passes the word on. The head drains first; a wait that a signal cut short is begun again.",
        "head=",
        'trap \'if [ -z "$head" ]; then exit 143; else kill -TERM "$head" 2>/dev/null || true; fi\' TERM INT',
        'srun --overlap --nodes=1 --ntasks=1 --nodelist="$first" \\',
        f"  {_serve(ordered, '$address')} &",
        "head=$!",
        f'srun --overlap --nodes={others} --ntasks={others} --nodelist="$others" seekserve join "$address" &',
        "rest=$!",
        "",
        "code=0",
        'while wait "$head" || code=$?; kill -0 "$head" 2>/dev/null; do code=0; done',
        'kill -TERM "$rest" 2>/dev/null || true',
        'wait "$rest" || true',
        'exit "$code"',
    ]
