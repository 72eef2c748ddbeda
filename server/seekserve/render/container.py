"""The platform's own facts (configs/catalog/platforms.yaml) -> what a container of it is given. Pure.

Where a platform asks for a privileged container, nothing is said of dropped capabilities and a read-only
root: they would promise what such a container does not keep.
"""

from __future__ import annotations

from typing import Any

from seekserve.errors import ConfigError
from seekserve.render.order import Order

Keys = dict[str, Any]

ULIMITS = {"memlock": -1, "stack": 67108864, "nofile": {"soft": 65536, "hard": 65536}}
TMPFS = ["/tmp:mode=1777,exec"]  # noqa: S108  compilers build there what they load
GROUPS = {"video": "${VIDEO_GID:-video}", "render": "${RENDER_GID:-render}"}
RDMA = "/dev/infiniband"
ASCEND_CARD = "/dev/davinci"
TOLD = (
    "ascend",
    "gaudi",
    "tpu",
)  # whose notes are about the image, not about installing without one
# What facts may say, and what of it is said here in other words than theirs.
PLAIN = ("cap_add", "ipc", "runtime", "shm_size")
KNOWN = {
    *PLAIN,
    "devices",
    "group_add",
    "network",
    "nvidia",
    "privileged",
    "security_opt",
    "volumes",
}


def devices(ordered: Order) -> Keys:
    """The accelerators, and what must be shared with the host for them."""
    facts = ordered.platform.container
    keys: Keys = {name: facts[name] for name in PLAIN if name in facts}
    if facts.get("nvidia"):
        keys |= _nvidia(ordered)
    listed = _listed(ordered, facts.get("devices", []))
    if ordered.asked.rdma:
        listed = [*listed, RDMA]
        keys["cap_add"] = [*keys.get("cap_add", []), "IPC_LOCK"]
    if listed:
        keys["devices"] = [*keys.get("devices", []), *listed]
    if groups := facts.get("group_add"):
        keys["group_add"] = [GROUPS.get(name, name) for name in groups]
    return keys


def guarded(ordered: Order, keys: Keys) -> Keys:
    """`keys` with what keeps a container in: everything that this platform leaves."""
    keys = keys | {"ulimits": ULIMITS}
    asked = ordered.platform.container.get("security_opt", [])
    if privileged(ordered):
        return keys | {"privileged": True, "user": "${SEEKSERVE_USER:-0:0}"}
    return keys | {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", *asked],
        "read_only": True,
        "tmpfs": TMPFS,
    }


def host_network(ordered: Order) -> bool:
    """Whether it has the host's own network: where its vendor wants it, and between nodes."""
    return ordered.asked.nodes > 1 or ordered.platform.container.get("network") == "host"


def privileged(ordered: Order) -> bool:
    return bool(ordered.platform.container.get("privileged"))


def environment(ordered: Order) -> dict[str, str]:
    """The platform's variables; all of its cards are seen."""
    habana = {"HABANA_VISIBLE_DEVICES": "all"} if ordered.platform.id == "gaudi" else {}
    return dict(ordered.platform.env) | habana


def volumes(ordered: Order) -> list[str]:
    """The driver's own files, read alone."""
    return [f"{path}:ro" for path in ordered.platform.container.get("volumes", [])]


def notes(ordered: Order) -> list[str]:
    """What somebody who starts it should know, and no key can say."""
    told = []
    if ordered.platform.id in TOLD:
        told.append(f"Of {ordered.platform.name}: {ordered.platform.notes.strip().rstrip('.')}.")
    if privileged(ordered):
        told.append(
            "Privileged and root, as the vendor's own page has it: devices and driver belong to root there, "
            "so that dropped capabilities and a read-only root would promise what such a container does not "
            "keep. Where the devices' group is known: SEEKSERVE_USER=10001:GROUP."
        )
    if "group_add" in ordered.platform.container:
        told.append(
            "Where the image numbers these groups otherwise than the host (getent group render video), "
            "devices cannot be opened: set RENDER_GID and VIDEO_GID to the host's numbers."
        )
    if ordered.platform.container.get("ipc") == "host":
        told.append(
            "ipc: host, because ranks share memory in /dev/shm, and more than a container's 64 MiB of it."
        )
    return told


def _nvidia(ordered: Order) -> Keys:
    """Through Docker's own reservation; with --cdi by the names of the Container Device Interface."""
    count = ordered.count
    if ordered.asked.cdi:
        each = [f"nvidia.com/gpu={n}" for n in range(count)] if count else ["nvidia.com/gpu=all"]
        return {"devices": each}
    device = {"driver": "nvidia", "count": count or "all", "capabilities": ["gpu"]}
    return {"deploy": {"resources": {"reservations": {"devices": [device]}}}}


def _listed(ordered: Order, paths: list[str]) -> list[str]:
    """Ascend names each card by its number; the facts have those of one kind of machine."""
    if ordered.asked.cdi and not ordered.platform.container.get("nvidia"):
        raise ConfigError(
            f"--cdi is NVIDIA's way here, and this is {ordered.platform.name}.",
            "Leave --cdi out: its devices are named by their paths.",
        )
    cards = [path for path in paths if path.removeprefix(ASCEND_CARD).isdigit()]
    if not cards or ordered.count is None:
        return list(paths)
    mine = [f"{ASCEND_CARD}{n}" for n in range(ordered.count)]
    return [*mine, *(path for path in paths if path not in cards)]
