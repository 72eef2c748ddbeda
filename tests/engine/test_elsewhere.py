"""A command that goes to other nodes takes none of this one's paths or secrets along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from seekserve.config import read_tier
from seekserve.engine import leftovers
from seekserve.engine.assembly import Launching, order
from seekserve.engine.elsewhere import PACKAGE, inbound, interface_of, network, outbound, runnable
from seekserve.plan.command import own
from seekserve.plan.written import written_commands
from seekserve.settings import Listen
from tests.support import alive, config, until


def test_files_of_the_package_are_named_by_their_place_in_it() -> None:
    parser = str(PACKAGE / "engine" / "vllm_reasoning.py")
    sent = outbound(("vllm", "serve", str(PACKAGE / "demo" / "model"), "--plugin", parser), {})
    assert sent.argv[2:] == (
        "@seekserve/demo/model",
        "--plugin",
        "@seekserve/engine/vllm_reasoning.py",
    )
    assert inbound(sent.argv)[-1] == parser


def test_no_secret_is_sent_nor_what_each_node_knows_itself() -> None:
    env = {"HF_TOKEN": "x", "MY_API_KEY": "x", "HF_HUB_OFFLINE": "1", "NCCL_DEBUG": "INFO"}
    assert outbound(("vllm",), env).env == {"NCCL_DEBUG": "INFO"}


def test_programs_are_this_installations() -> None:
    assert runnable(("python", "-m", "x")) == (sys.executable, "-m", "x")
    assert Path(runnable(("vllm", "serve"))[0]).name == "vllm"
    assert runnable(("/usr/bin/env",)) == ("/usr/bin/env",)


def test_the_interface_that_holds_an_address() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.213") == ""
    assert interface_of("2001:db8::1") == ""


def test_the_way_to_other_nodes_and_what_the_user_says_of_it() -> None:
    found = network("127.0.0.1", {"NCCL_SOCKET_IFNAME": "ib0", "VLLM_HOST_IP": "10.1.1.1"})
    assert found["GLOO_SOCKET_IFNAME"] == found["HCCL_SOCKET_IFNAME"] == "lo"
    assert found["HCCL_IF_IP"] == "127.0.0.1"
    assert network("127.0.0.1", {})["NCCL_SOCKET_IFNAME"] == "=lo"
    assert not found.keys() & {"NCCL_SOCKET_IFNAME", "VLLM_HOST_IP"}


def test_what_each_node_is_ordered(tmp_path: Path) -> None:
    tier = read_tier("demo").model_copy(update={"nodes": 2})
    settings = tier.engine.model_copy(
        update={"args": tier.engine.args | {"tensor-parallel-size": 2}, "env": {"A_TOKEN": "x"}}
    )
    tier = tier.model_copy(update={"engine": settings})
    cluster = Listen(host="127.0.0.1", port=29540)
    whole = config().model_copy(update={"tier": tier, "cluster": cluster})

    def argvs(socket: Path) -> tuple[tuple[str, ...], ...]:
        there = (str(PACKAGE / "demo" / "model"), 2, "127.0.0.1", str(socket))
        return tuple(one.argv for one in written_commands(settings, "cpu", *there))

    wanted = order(whole, Launching(argvs, {}, "cpu", {}), tmp_path / "e.sock", 0)
    (other,) = wanted.others
    assert wanted.command.argv[0] == sys.executable and other.argv[0] == "python"
    assert wanted.command.env["VLLM_HOST_IP"] == "127.0.0.1"
    assert wanted.command.env["GLOO_SOCKET_IFNAME"] == "lo"
    assert "--headless" in other.argv and "--headless" not in wanted.command.argv
    assert not {"TMPDIR", "VLLM_RPC_BASE_PATH", "VLLM_HOST_IP", "A_TOKEN"} & set(other.env)
    assert other.env["VLLM_CPU_KVCACHE_SPACE"] == wanted.command.env["VLLM_CPU_KVCACHE_SPACE"]
    here = [str(tmp_path), str(PACKAGE), sys.executable]
    assert not [path for path in here if path in json.dumps([other.argv, dict(other.env)])]


async def test_what_a_killed_server_left_is_ended_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine may take ten seconds to end, and the next one needs the memory. The workers of vLLM give
    themselves titles.
    """
    pytest.importorskip("setproctitle", reason="it comes with vLLM")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])  # noqa: ASYNC220
    gone.wait()
    left, mine = tmp_path / f"seekserve-{gone.pid}-x", leftovers.run_dir()
    left.mkdir()
    sleeps = "import setproctitle, time; setproctitle.setproctitle('VLLM::' * 90); time.sleep(600)"
    engines = [
        subprocess.Popen([sys.executable, "-c", sleeps], env=os.environ | own(path))  # noqa: ASYNC220
        for path in (left, mine)
    ]
    try:
        titles = [Path(f"/proc/{engine.pid}/cmdline").read_bytes for engine in engines]
        await until(lambda: all(title()[:6] == b"VLLM::" for title in titles), "their titles")
        leftovers.sweep()
        await until(lambda: not alive(engines[0].pid), "what was left to end")
        assert alive(engines[1].pid), "that of a server that lives goes on"
        assert (left.exists(), mine.exists()) == (False, True)
    finally:
        for engine in engines:
            engine.kill()
            engine.wait()
