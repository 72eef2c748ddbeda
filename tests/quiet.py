"""Serves, attached to the engine named as its argument, and prints whom it spoke to and what it started.

    python -m tests.quiet unix:/PATH

A process of its own, because what watches the interpreter cannot be taken off again.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import socket
import sys
from typing import Any

WATCHED = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn")
PAGES = ("/docs", "/openapi.json", "/v1/models", "/health/ready")
NEEDS_TORCH = ("seekserve.demo", "seekserve.engine.vllm", "seekserve.__main__")
met: list[str] = []


def noticed(event: str, details: tuple[Any, ...]) -> None:
    if event in WATCHED:
        there = details[1] if event == "socket.connect" else details[0]
        met.append(f"{event} {there}")


def import_everything() -> None:
    import seekserve

    for module in pkgutil.walk_packages(seekserve.__path__, "seekserve."):
        if not module.name.startswith(NEEDS_TORCH):
            importlib.import_module(module.name)


async def serve(engine: str) -> None:
    from tests.support import config, gateway

    async with gateway(config(engine)) as gate:
        for page in PAGES:
            assert (await gate.client.get(page)).status_code == 200, page
        for page in ("/metrics", "/version"):
            assert (await gate.ops.get(page)).status_code == 200, page
        assert (await gate.ask()).status_code == 200
        assert (await gate.stream()).status_code == 200


if __name__ == "__main__":
    socket.setdefaulttimeout(20)
    sys.addaudithook(noticed)
    import_everything()
    asyncio.run(serve(sys.argv[1]))
    print(json.dumps(sorted(set(met))))
