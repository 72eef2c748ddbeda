"""`join` once it knows where: this node's folder and facts, and the connection until a signal."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvloop
from pydantic import SecretStr

from seekserve.defects import unheard
from seekserve.engine import leftovers
from seekserve.engine.hardware import facts_here
from seekserve.engine.joining import Joining, Post
from seekserve.log import Log
from seekserve.plan.commands import CPU_NODES_ENTRY
from seekserve.settings import Listen


def run(
    head: Listen, token: SecretStr, folder: Path, log_format: str, heard: Callable[[str], None]
) -> None:
    """Until it is asked to stop. Raises ConfigError."""
    if secret := os.environ.get("HF_TOKEN_FILE"):
        os.environ.setdefault("HF_TOKEN_PATH", secret)  # by which the engine's own hub client goes
    log = Log("json" if log_format == "json" else "text")
    facts = facts_here()
    leftovers.sweep()
    logs, run_dir = folder / "logs", leftovers.run_dir()
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    entry = CPU_NODES_ENTRY if facts.platform == "cpu" else ("vllm", "serve")
    post = Post(head, token, facts, entry, run_dir, logs / "node.log")
    try:
        uvloop.run(until_signal(Joining(post, log, heard), log))
        heard("stopped")
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)


async def until_signal(joining: Joining, log: Log) -> None:
    """A second signal cuts the engine's grace short."""
    task = asyncio.ensure_future(joining.run())
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unheard(log))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
