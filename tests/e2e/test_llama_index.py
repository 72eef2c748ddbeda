"""LlamaIndex's DeepSeek client, in a venv laid over ours: it wants `openai` below 3, other tests above."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import KEY, Served

SCRIPT = Path(__file__).with_name("llama_index_client.py")
PACKAGES = ("llama-index-llms-deepseek==0.4.1", "llama-index-llms-openai-like==0.8.1")
INSTALL = ("install", "--quiet", "--no-compile", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> Path:
    """The venv's, made once per version and kept in pytest's cache. What it does not need otherwise it
    takes from ours, through a .pth: a third of the time.
    """
    cache = request.config.cache
    assert cache is not None, "these tests need pytest's cache"
    home = cache.mkdir("venvs") / "_".join(PACKAGES)
    if not home.exists():
        fresh = Path(tempfile.mkdtemp(dir=home.parent))
        venv.create(fresh)
        inside = {"base": str(fresh), "platbase": str(fresh)}
        beneath = Path(sysconfig.get_path("purelib", "venv", inside)) / "ours.pth"
        beneath.write_text(sysconfig.get_path("purelib") + "\n")
        pip = (sys.executable, "-m", "pip", "--python", str(fresh / "bin" / "python"))
        subprocess.run([*pip, *INSTALL, *PACKAGES], check=True, timeout=200)
        fresh.rename(home)
    return home / "bin" / "python"


@pytest.fixture(scope="module")
def seen(server: Served, python: Path) -> dict[str, Any]:
    """What the client saw, one JSON object."""
    command = [str(python), str(SCRIPT), server.root, KEY]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def test_chat_has_a_thinking_block(seen: dict[str, Any]) -> None:
    thinking, text = seen["chat"]["deepseek-reasoner"]
    assert (thinking["block_type"], text["block_type"]) == ("thinking", "text")
    assert thinking["content"]
    assert "42" in text["text"]


def test_chat_without_thinking_has_none(seen: dict[str, Any]) -> None:
    (text,) = seen["chat"]["deepseek-chat"]
    assert text["block_type"] == "text"
    assert "42" in text["text"]


def test_a_stream_tells_the_thinking_as_it_comes(seen: dict[str, Any]) -> None:
    thinking, text = seen["chat"]["deepseek-reasoner"]
    assert seen["stream"] == {"thinking": thinking["content"], "text": text["text"]}


def test_a_tool_is_called_and_its_answer_used(seen: dict[str, Any]) -> None:
    assert seen["call"] == ["get_weather", {"city": "Rome"}]
    assert "21" in seen["told"]


def test_openai_like_reads_the_same(seen: dict[str, Any]) -> None:
    assert seen["like"] == seen["chat"]["deepseek-reasoner"]
