"""`--nodes`, `--cluster`, `join` and their token: what cannot be is said before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from seekserve import meeting
from seekserve.cli import cli
from seekserve.config import load
from seekserve.errors import ConfigError
from seekserve.plan.written import written_commands
from seekserve.settings import EngineSettings, Flag
from tests.plan import vllm_parser

TOKEN = SecretStr("0123456789abcdef")
LISTEN: dict[str, Any] = {"host": "127.0.0.1", "port": 0}


def test_a_head_knows_where_its_nodes_join(tmp_path: Path) -> None:
    said = load(
        "demo", listen=LISTEN, state_dir=tmp_path, nodes=2, cluster="10.0.0.1", node_token=TOKEN
    )
    assert said.cluster and (said.cluster.host, said.cluster.port) == ("10.0.0.1", 29540)
    assert said.tier.nodes == 2
    assert TOKEN.get_secret_value() not in repr(said)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"nodes": 2, "node_token": TOKEN}, "nothing says where the others join"),
        ({"nodes": 2, "cluster": "10.0.0.1"}, "SEEKSERVE_NODE_TOKEN is not set"),
        ({"nodes": 2, "cluster": "10.0.0.1", "node_token": SecretStr("short")}, "can be guessed"),
        ({"nodes": 2, "cluster": "0.0.0.0", "node_token": TOKEN}, "every address"),
        ({"nodes": 2, "cluster": "no such host", "node_token": TOKEN}, "no address that is known"),
        ({"nodes": 2, "cluster": "10.0.0.1:x", "node_token": TOKEN}, "HOST[:PORT]"),
        ({"cluster": "10.0.0.1", "node_token": TOKEN}, "this one has one"),
        ({"nodes": 2, "attach": ("http://x:1",)}, "--engine"),
    ],
)
def test_what_cannot_be_has_words(tmp_path: Path, how: dict[str, Any], words: str) -> None:
    tier = None if "attach" in how else "demo"
    with pytest.raises(ConfigError) as raised:
        load(tier, listen=LISTEN, state_dir=tmp_path, **how)
    assert words in raised.value.message
    assert raised.value.todo
    assert "0123456789abcdef" not in raised.value.message


def test_two_engines_do_not_span_nodes(tmp_path: Path) -> None:
    tier = tmp_path / "two.yaml"
    tier.write_text("tier: two\nengines: 2\nnodes: 2\n")
    with pytest.raises(ConfigError, match="2 engines and for 2 nodes"):
        load(str(tier), listen=LISTEN, state_dir=tmp_path, cluster="::1", node_token=TOKEN)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1", ("127.0.0.1", 29540)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("::1", ("::1", 29540)),
        ("[::1]", ("::1", 29540)),
        ("[::1]:77", ("::1", 77)),
    ],
)
def test_where_they_meet(text: str, where: tuple[str, int]) -> None:
    place = meeting.place(text)
    assert (place.host, place.port) == where


@pytest.mark.parametrize("text", ["", ":1", "h:99999", "h:-1", "[]:1", "x" * 300])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ConfigError):
        meeting.place(text)


def test_a_name_that_only_this_machine_takes_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's /etc/hosts gives a machine's own name 127.0.1.1."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.1.1", 0))])
    with pytest.raises(ConfigError, match=r"box is 127\.0\.1\.1 here, which other nodes cannot"):
        meeting.place("box")


def test_join_wants_the_token_and_says_how_to_make_one(tmp_path: Path) -> None:
    env = {"SEEKSERVE_STATE_DIR": str(tmp_path), "SEEKSERVE_NODE_TOKEN": ""}
    ended = CliRunner().invoke(cli, ["join", "127.0.0.1"], env=env)
    assert ended.exit_code == 2
    assert "openssl rand -hex 32" in ended.output


def test_a_variables_last_line_end_is_no_part_of_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEKSERVE_NODE_TOKEN", f"{TOKEN.get_secret_value()}\n")
    assert meeting.take_token() == TOKEN


SIZES: dict[str, dict[str, Flag]] = {
    "tp over nodes": {"tensor-parallel-size": 2},
    "pp over nodes": {"tensor-parallel-size": 4, "pipeline-parallel-size": 2},
    "dp over nodes": {"data-parallel-size": 4, "enable-expert-parallel": True},
    "a dp rank each": {"tensor-parallel-size": 8, "data-parallel-size": 2},
}


def written(args: dict[str, Flag], nodes: int = 2) -> list[tuple[str, ...]]:
    more: dict[str, Flag] = {"tool-call-parser": "deepseek_v3", "enable-auto-tool-choice": True}
    settings = EngineSettings(model="m", served_as=("a", "b"), args=args | more)
    found = written_commands(settings, "cuda", "org/m", nodes, "10.0.0.1", "/run/e.sock")
    return [command.argv for command in found]


def test_a_written_tier_is_laid_over_its_nodes_as_a_planned_one() -> None:
    head, other = written(SIZES["pp over nodes"])
    assert head[:5] == ("vllm", "serve", "org/m", "--uds", "/run/e.sock")
    assert other[:3] == ("vllm", "serve", "org/m") and "--uds" not in other
    assert other[-7:] == (
        "--nnodes",
        "2",
        "--node-rank",
        "1",
        "--master-addr",
        "10.0.0.1",
        "--headless",
    )
    assert "--tool-call-parser" in head and "--tool-call-parser" not in other
    _, other = written(SIZES["dp over nodes"])
    assert other[-2:] == ("--data-parallel-start-rank", "2")


@pytest.mark.parametrize("args", [{}, {"tensor-parallel-size": 3}, {"data-parallel-size": "x"}])
def test_ranks_that_do_not_lie_evenly(args: dict[str, Flag]) -> None:
    with pytest.raises(ConfigError, match=r"2 nodes|above 0"):
        written(args)


def test_a_rank_that_spans_nodes_spans_as_many_as_the_others() -> None:
    """Two ranks of twelve over three nodes: vLLM raises a ValueError in ParallelConfig."""
    args = SIZES["pp over nodes"] | {"pipeline-parallel-size": 3, "data-parallel-size": 2}
    with pytest.raises(ConfigError, match="24 ranks, which do not lie evenly over 3 nodes"):
        written(args, 3)


@pytest.mark.skipif(not vllm_parser.INSTALLED, reason="vLLM is not installed")
def test_vllm_itself_takes_what_a_written_tier_orders(vllm: vllm_parser.Vllm) -> None:
    argvs = [argv for args in SIZES.values() for argv in written(args)]
    assert list(vllm.ask(argvs).errors) == [None] * len(argvs)
