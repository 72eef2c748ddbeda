"""Asks the installed vLLM, in one child process, whether it understands commands and names.

Importing vLLM takes about ten seconds and warns, which fails our tests; so all questions go to one child.
Run as a program it is that child: it answers each line of its input with one. It sees each argv as `vllm`
would: the same parser, the same checks before a model is loaded, the same engine arguments. It loads no
model and asks no network.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

INSTALLED = importlib.util.find_spec("vllm") is not None
API_SERVER = ("python", "-m", "vllm.entrypoints.launchers.api_server.entry")
OUR_ENTRY = ("python", "-m", "seekserve.engine.vllm_cpu")


@dataclass(frozen=True)
class Answers:
    """`errors` in the order of the commands, None where vLLM takes one; the rest are names."""

    errors: tuple[str | None, ...]
    unknown_env: frozenset[str]
    reasoning_parsers: frozenset[str]
    tool_parsers: frozenset[str]
    tokenizer_modes: frozenset[str]
    version: str


@dataclass(frozen=True)
class Vllm:
    """The child, and the file with what it complains of."""

    process: subprocess.Popen[str]
    said: Path

    def ask(self, argvs: Sequence[Sequence[str]], env_names: Iterable[str] = ()) -> Answers:
        """Commands that are not vLLM's (`ray start`) are none of its business."""
        assert self.process.stdin and self.process.stdout
        asked = {"argvs": [list(argv) for argv in argvs], "env": sorted(set(env_names))}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, self.said.read_text()[-2000:]
        found = json.loads(line)
        names = {key: frozenset(value) for key, value in found["names"].items()}
        return Answers(tuple(found["errors"]), version=found["version"], **names)


@contextmanager
def running() -> Iterator[Vllm]:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "said").open("w") as said:
        # The CPU platform parses every platform's flags, and needs no accelerator to be there.
        env = {**os.environ, "VLLM_TARGET_DEVICE": "cpu", "PYTHONWARNINGS": "ignore"}
        env.pop("HF_HUB_OFFLINE", None)  # with it vLLM looks for the model's files already here
        words = [sys.executable, str(Path(__file__))]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(words, env=env, stderr=said, text=True, **pipes) as process:
            yield Vllm(process, Path(said.name))


def _child() -> None:
    import importlib.metadata

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM prints
    from seekserve.engine import vllm_cpu

    vllm_cpu.patch()  # as our own entry does
    version = importlib.metadata.version("vllm")
    for line in sys.stdin:
        asked = json.loads(line)
        errors, names = _errors(asked["argvs"]), _names(asked["env"])
        told = {"errors": errors, "names": names, "version": version}
        print(json.dumps(told), file=answers, flush=True)


def _names(env: list[str]) -> dict[str, list[str]]:
    from vllm import envs

    unknown = [n for n in env if n.startswith("VLLM_") and n not in envs.environment_variables]
    return {"unknown_env": unknown, **_registries()}


def _registries() -> dict[str, list[str]]:
    from vllm.reasoning import ReasoningParserManager
    from vllm.tokenizers import registry
    from vllm.tool_parsers import ToolParserManager

    return {
        "reasoning_parsers": list(ReasoningParserManager.list_registered()),
        "tool_parsers": list(ToolParserManager.list_registered()),
        "tokenizer_modes": list(registry.TokenizerRegistry.tokenizers),
    }


def _errors(argvs: list[list[str]]) -> list[str | None]:
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    FlexibleArgumentParser.error = _refuse
    whole = FlexibleArgumentParser(allow_abbrev=False)  # a shortened flag is a flag of no version
    serve = ServeSubcommand().subparser_init(whole.add_subparsers(dest="subparser"))
    alone = make_arg_parser(FlexibleArgumentParser(allow_abbrev=False))
    serve.allow_abbrev = False
    return [_error(argv, whole, alone) for argv in argvs]


def _refuse(parser: Any, message: str) -> None:
    raise ValueError(message)


def _error(argv: list[str], whole: Any, alone: Any) -> str | None:
    from vllm import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import validate_parsed_serve_args

    if argv[0] == "ray":
        return None
    try:
        if tuple(argv[:3]) == API_SERVER:
            args = alone.parse_args(argv[3:])
        else:
            args = whole.parse_args(argv[3:] if tuple(argv[:3]) == OUR_ENTRY else argv[1:])
            args.model = args.model_tag
        validate_parsed_serve_args(args)
        AsyncEngineArgs.from_cli_args(args)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever vLLM raises is the answer
        return f"{type(error).__name__}: {error}"
    return "; ".join(_unknown(args)) or None


def _unknown(args: Any) -> Iterator[str]:
    """Names that the parser takes as any text, and that vLLM would refuse once it starts."""
    from vllm.config.speculative import SpeculativeConfig
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

    known = {key: {None, "", *found} for key, found in _registries().items()}
    for flag, names in (
        ("quantization", {None, *QUANTIZATION_METHODS}),
        ("reasoning_parser", known["reasoning_parsers"]),
        ("tool_call_parser", known["tool_parsers"]),
        ("tokenizer_mode", known["tokenizer_modes"] | {"auto"}),
    ):
        if getattr(args, flag) not in names:
            yield f"unknown {flag} {getattr(args, flag)!r}"
    for key in set(args.speculative_config or ()) - set(SpeculativeConfig.__dataclass_fields__):
        yield f"unknown speculative_config {key!r}"
    method = (args.speculative_config or {}).get("method")
    if method and method not in _literals(SpeculativeConfig.__annotations__["method"]):
        yield f"unknown speculative method {method!r}"


def _literals(annotation: Any) -> set[str]:
    inner = get_args(annotation)
    return set().union(*map(_literals, inner)) if inner else {annotation}


if __name__ == "__main__":
    _child()
