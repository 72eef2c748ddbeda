"""A configuration read anew while the server runs: what holds at once, what is refused, what is undone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from seekserve.config import Config
from seekserve.errors import EngineFailed
from seekserve.reloading import changes
from seekserve.settings import Alias, Prices, Tenancy, Tier
from tests.support import (
    FakeEngine,
    config,
    fake_engine,
    free_port,
    gateway,
    until,
    without_proxies,
)

SLOW = "fault:slow interval=0.05 tokens=60"


class Files:
    """What the files say next, and whether engines follow."""

    def __init__(self, now: Config) -> None:
        self.next, self.rolled, self.engine = now, 0, now.tier.engine
        self.broken = False

    def tier(self, **changed: Any) -> None:
        self.next = self.next.model_copy(update={"tier": self.next.tier.model_copy(update=changed)})

    def read(self, running: Config, anew: bool) -> Config:
        return self.next.model_copy(update={"listen": running.listen})

    async def roll(self, config: Config, force: bool) -> Sequence[str]:
        if self.broken:
            raise EngineFailed("engine-0 did not come up: no.", "Mend it.")
        if config.tier.engine == self.engine and not force:
            return []
        self.rolled, self.engine = self.rolled + 1, config.tier.engine
        return ["engine-0 was started anew"]


async def test_limits_hold_at_once_for_those_who_wait(engine: FakeEngine) -> None:
    settings = config(engine.url, limits={"running": 1})
    files = Files(settings)
    async with gateway(settings, renewal=files) as gate:
        first = asyncio.create_task(gate.stream(SLOW))
        await until(lambda: engine.running == 1, "the first to run")
        second = asyncio.create_task(gate.ask())
        await until(lambda: _queued(gate), "the second to wait")
        files.tier(limits=settings.tier.limits.model_copy(update={"running": 2}))
        said = (await gate.ops.post("/reload")).json()
        assert said == {"changed": ["limits.running: 1 -> 2"]}
        assert (await second).status_code == 200
        assert not first.done(), "it went beside the first, which goes on"
        assert (await first).text.endswith("data: [DONE]\n\n")
        assert files.rolled == 0
        await gate.at_rest()


async def _queued(gate: Any) -> bool:
    figures = await gate.figures()
    return any(v == 1 for name, v in figures.items() if name.startswith("seekserve_queue_depth"))


async def test_names_and_classes_come_with_a_reload(engine: FakeEngine) -> None:
    settings = config(engine.url)
    files = Files(settings)
    async with gateway(settings, renewal=files) as gate:
        assert (await gate.ask(model="nick")).status_code == 404
        names = settings.tier.dialect.model_copy(update={"aliases": {"nick": Alias(model="fake")}})
        shares = {name: one.share / 2 for name, one in settings.tier.classes.items()}
        classes = {
            name: one.model_copy(update={"share": shares[name]})
            for name, one in settings.tier.classes.items()
        }
        files.tier(dialect=names, classes=classes | {"guests": Tenancy(share=0.5)})
        assert (await gate.ops.post("/reload")).status_code == 200
        assert (await gate.ask(model="nick")).status_code == 200
        figures = await gate.figures()
        assert figures["seekserve_share_promised{class=guests}"] == 0.5


async def _no_class(files: Files) -> str:
    gone = {n: c for n, c in files.next.tier.classes.items() if n != "batch"}
    files.tier(classes=gone)
    return "no class batch"


async def _other_money(files: Files) -> str:
    files.tier(prices=Prices(currency="CNY"))
    return "currency"


async def _broken_engine(files: Files) -> str:
    files.tier(engine=files.next.tier.engine.model_copy(update={"max_restarts": 9}))
    files.broken = True
    return "did not come up"


@pytest.mark.parametrize("spoil", [_no_class, _other_money, _broken_engine])
async def test_what_cannot_be_leaves_the_old_in_force(
    engine: FakeEngine, spoil: Callable[[Files], Any]
) -> None:
    settings = config(engine.url, limits={"choices": 2})
    files = Files(settings)
    async with gateway(settings, renewal=files) as gate:
        files.tier(limits=settings.tier.limits.model_copy(update={"choices": 1}))
        word = await spoil(files)
        said = await gate.ops.post("/reload")
        error = said.json()["error"]
        assert said.status_code == 422 and word in error["message"] + error["todo"]
        assert (await gate.ask(n=2)).status_code == 200, "the old cap still holds"


async def test_engines_follow_their_settings_and_force(engine: FakeEngine) -> None:
    settings = config(engine.url)
    files = Files(settings)
    async with gateway(settings, renewal=files) as gate:
        assert (await gate.ops.post("/reload?engines=1")).json() == {
            "changed": ["engine-0 was started anew"]
        }
        files.tier(engine=settings.tier.engine.model_copy(update={"stop_grace_s": 3.0}))
        said = (await gate.ops.post("/reload")).json()["changed"]
        assert said == ["engine.stop_grace_s: 20.0 -> 3.0", "engine-0 was started anew"]
        assert (await gate.ops.post("/reload")).json() == {"changed": []}
        assert files.rolled == 2


def test_changes_are_told_by_their_whole_name() -> None:
    old = Tier(tier="x")
    new = old.model_copy(update={"engines": 2, "prices": Prices(prompt=1.5)})
    assert list(changes(old, new)) == ["engines: 1 -> 2", "prices.prompt: 0.0 -> 1.5"]


def test_the_verb_on_a_server_as_a_user_starts_it(tmp_path: Path) -> None:
    tier, port = tmp_path / "mine.yaml", free_port()
    tier.write_text(yaml.safe_dump({"tier": "mine", "limits": {"queued": 8}}))
    env = without_proxies() | {"SEEKSERVE_STATE_DIR": str(tmp_path / "state")}
    words = [sys.executable, "-m", "seekserve"]
    with fake_engine(tmp_path) as engine:
        serve = [*words, "serve", "--tier", str(tier), "--engine", engine.url, "--port", str(port)]
        with subprocess.Popen(serve, env=env, stderr=subprocess.DEVNULL) as server:
            try:
                _until_ready(port, server)
                tier.write_text(yaml.safe_dump({"tier": "mine", "limits": {"queued": 16}}))
                done = _reload(words, env)
                assert (done.returncode, done.stdout) == (0, "limits.queued: 8 -> 16\n")
                assert _reload(words, env).stdout == "Nothing has changed.\n"
                tier.write_text("tier: mine\nlimits: {queued: many}\n")
                wrong = _reload(words, env)
                assert wrong.returncode == 2
                assert "mine.yaml" in wrong.stderr and "queued" in wrong.stderr
                tier.unlink()
                assert _reload(words, env).returncode == 2
            finally:
                server.terminate()
    assert server.returncode == 0
    assert "No server runs" in _reload(words, env).stderr


def _reload(words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*words, "reload"], env=env, capture_output=True, text=True, timeout=60)


def _until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server is not ready")
