"""The rivals from PyPI, in a virtual environment of their own.

They pin other versions of what the project uses, so they never share its environment.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

PINS: Final = {"vllm-router": "vllm-router==0.1.17", "litellm": "litellm[proxy]"}
_LIMIT_S: Final = 420.0


def default_folder() -> Path:
    """Beside the running interpreter's packages: removed with them, and ignored by git."""
    return Path(sys.prefix) / "bench-rivals"


async def install(folder: Path, programs: list[str], console: Console) -> str:
    """Install what is missing. Returns why that failed, or nothing; it never raises for it."""
    missing = [PINS[name] for name in programs if not (folder / "bin" / name).exists()]
    if not missing:
        return ""
    with console.status(f"Installing {', '.join(missing)} into {folder} (once) …"):
        for step in _steps(folder, missing):
            reason = await _run(step)
            if reason:
                return reason
    return ""


def _steps(folder: Path, missing: list[str]) -> list[list[str]]:
    python = folder / "bin" / "python"
    venv = [] if python.exists() else [[sys.executable, "-m", "venv", str(folder)]]
    return [*venv, [str(python), "-m", "pip", "install", "--quiet", *missing]]


async def _run(argv: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, complaint = await asyncio.wait_for(process.communicate(), _LIMIT_S)
    except TimeoutError:
        return f"not finished after {_LIMIT_S:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = complaint.decode(errors="replace").strip().splitlines()
    return (lines or ["pip failed"])[-1][-200:] if process.returncode else ""
