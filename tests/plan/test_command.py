"""Tier settings -> the engine's argv and environment."""

from __future__ import annotations

import json
from pathlib import Path

from seekserve.config import read_tier
from seekserve.plan.command import argv, environment
from seekserve.settings import EngineSettings, Limits

SOCKET, RUN = Path("/run/x/engine.sock"), Path("/run/x")


def settings(**more: object) -> EngineSettings:
    return EngineSettings.model_validate({"model": "m", "served_as": ["a", "b"]} | more)


def test_it_listens_on_the_socket_and_nothing_else() -> None:
    for platform in ("cpu", "cuda"):
        words = argv(settings(), platform, "/models/m", SOCKET, "python")
        assert words[words.index("--uds") + 1] == str(SOCKET)
        assert not {"--port", "--host"} & set(words)
        assert words[0] == "python"
        at = words.index("--served-model-name")
        assert words[at + 1 : at + 3] == ("a", "b")


def test_each_platform_has_its_entry() -> None:
    cpu = argv(settings(), "cpu", "/m", SOCKET, "python")
    assert cpu[1:5] == ("-m", "vllm.entrypoints.launchers.api_server.entry", "--model", "/m")
    cuda = argv(settings(), "cuda", "/m", SOCKET, "python")
    assert cuda[1:5] == ("-m", "vllm.entrypoints.cli.main", "serve", "/m")


def test_every_kind_of_flag() -> None:
    flags = {"on": True, "off": False, "n": 5, "f": 0.5, "s": "x", "l": ["p", "q"], "j": {"k": [1]}}
    words = " ".join(argv(settings(args=flags), "cuda", "/m", SOCKET, "python"))
    for part in ("--on", "--no-off", "--n 5", "--f 0.5", "--s x", "--l p q", '--j {"k": [1]}'):
        assert f" {part}" in words


def test_a_platform_overrides_what_all_share() -> None:
    given = settings(
        args={"dtype": "auto", "x": 1},
        env={"A": "1", "B": "1"},
        platforms={"cpu": {"args": {"dtype": "float32"}, "env": {"B": "2"}}},
    )
    cpu = argv(given, "cpu", "/m", SOCKET, "python")
    assert cpu.count("--dtype") == 1
    assert cpu[cpu.index("--dtype") + 1] == "float32"
    assert environment(given, "cpu", Limits(), RUN) | {"A": "1", "B": "2"} == environment(
        given, "cpu", Limits(), RUN
    )
    assert environment(given, "cuda", Limits(), RUN)["B"] == "1"


def test_the_environment_holds_our_limits_and_keeps_to_the_private_folder() -> None:
    told = environment(settings(), "cpu", Limits(choices=3, stop_strings=4), RUN)
    assert told["VLLM_RPC_BASE_PATH"] == str(RUN)
    assert (told["VLLM_MAX_N_SEQUENCES"], told["VLLM_MAX_STOP_STRINGS"]) == ("3", "4")
    assert told["VLLM_NO_USAGE_STATS"] == "1"


def test_the_demo_tier_works_around_the_wrong_kernel() -> None:
    words = argv(read_tier("demo").engine, "cpu", "/m", SOCKET, "python")
    custom = json.loads(words[words.index("--compilation-config") + 1])
    assert "-rotary_embedding" in custom["custom_ops"]
    assert "--enforce-eager" in words
