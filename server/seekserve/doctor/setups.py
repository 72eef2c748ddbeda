"""Checks of how engines are started: flags and variables that open them, models that can change. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from seekserve.doctor.facts import Setup
from seekserve.doctor.findings import Finding, bad, else_ok, warn
from seekserve.secretfiles import HUB_TOKEN, SECRETS

COMMIT = re.compile(r"[0-9a-f]{40}")
OFF = ("", "0", "false", "no", "off")
OPENING = {
    "VLLM_SERVER_DEV_MODE": "adds routes that put the engine to sleep, reset it and run functions in it",
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "unpickles what it is sent, which runs code",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "lets requests load adapters from anywhere",
}
FLAGS = {
    "enable-prompt-embeds": "takes tensors from requests, which have corrupted its memory before",
    "trust-request-chat-template": "runs templates that come in requests",
    "api-key": "shows a key to everybody who can list processes",
}
KEYS = (*(name for name in SECRETS if name != HUB_TOKEN), "VLLM_API_KEY")


def check(setup: Setup) -> Iterator[Finding]:
    said = f"{setup.name}: no flag or variable opens it, and its model cannot change."
    yield from else_ok(_found(setup), "models", said)


def environment(env: Mapping[str, str], whose: str) -> Iterator[Finding]:
    """Variables that an engine would inherit, or has."""
    for name, does in OPENING.items():
        if env.get(name, "").lower() not in OFF:
            yield bad("models", f"{whose}: {name} {does}.", f"Unset {name} and start it again.")


def _found(setup: Setup) -> Iterator[Finding]:
    yield from environment(setup.env, setup.name)
    if setup.pid and (seen := [name for name in KEYS if setup.env.get(name)]):
        yield bad(
            "models",
            f"The environment of {setup.name} (pid {setup.pid}) holds {', '.join(seen)}: code in its "
            "model or libraries can read it.",
            "Change that key: seekserve keeps it from engines, so something else put it there.",
        )
    for flag, does in FLAGS.items():
        if _has(setup.argv, flag):
            yield bad(
                "models", f"{setup.name}: --{flag} {does}.", f"Take --{flag} out of the tier."
            )
    yield from _code(setup)
    yield from _revision(setup)


def _code(setup: Setup) -> Iterator[Finding]:
    if not _has(setup.argv, "trust-remote-code"):
        return
    pinned = (_value(setup.argv, "code-revision") or _value(setup.argv, "revision")) or ""
    if setup.local:
        yield warn(
            "models",
            f"{setup.name}: --trust-remote-code runs the code that lies in {setup.model}.",
            "Leave it out where vLLM knows the model itself; else let only root write to that folder.",
        )
    elif not COMMIT.fullmatch(pinned):
        yield bad(
            "models",
            f"{setup.name}: --trust-remote-code runs whatever code is in {setup.model} on the day it "
            "is fetched.",
            "Leave it out, or read that code once and pin it: revision and code-revision with the "
            "commit's 40 digits.",
        )


def _revision(setup: Setup) -> Iterator[Finding]:
    if setup.local or not setup.model:
        return
    if not COMMIT.fullmatch(_value(setup.argv, "revision") or ""):
        yield warn(
            "models",
            f"{setup.name}: no commit of {setup.model} is named, so what is fetched can change.",
            "Name one: revision in the tier's engine (or its args), 40 digits from the model's history.",
        )
    if setup.cached and setup.env.get("HF_HUB_OFFLINE", "").lower() in OFF:
        yield warn(
            "models",
            f"{setup.name}: {setup.model} has been fetched, and the engine may still go to the network.",
            "env: {HF_HUB_OFFLINE: '1'} in the tier's engine.",
        )


def _has(argv: tuple[str, ...], flag: str) -> bool:
    return any(_flag(word) == flag for word in argv)


def _value(argv: tuple[str, ...], flag: str) -> str | None:
    for number, word in enumerate(argv):
        if _flag(word) == flag:
            return word.partition("=")[2] or (argv[number + 1 : number + 2] or ("",))[0]
    return None


def _flag(word: str) -> str:
    """vLLM reads dashes and underscores alike."""
    return word.partition("=")[0][2:].replace("_", "-") if word.startswith("--") else ""
