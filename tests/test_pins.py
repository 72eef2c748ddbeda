"""Which commit of a model is served: against a made-up Hugging Face cache, laid out as the real one."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from seekserve.engine.address import Address
from seekserve.engine.engine import Snapshot, State
from seekserve.errors import ConfigError
from seekserve.hub import cache_of, held, is_whole
from seekserve.log import Log
from seekserve.pins import Pins
from seekserve.plan.command import argv
from seekserve.settings import EngineSettings, Rung, Tier

REPO = "deepseek-ai/DeepSeek-Test"
OLD, NEW = "0" * 39 + "a", "0" * 39 + "b"
SHARDS = [f"model-{n:05}-of-00002.safetensors" for n in (1, 2)]
READY = Snapshot("engine-0", Address(path="/x"), (), State.READY)


class Hub:
    """The cache, and what a download would put there."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.folder = folder / "hub" / "models--deepseek-ai--DeepSeek-Test"

    def fetch(self, commit: str, *left_out: str) -> None:
        index = {"weight_map": {f"w{n}": name for n, name in enumerate(SHARDS)}}
        files = dict.fromkeys(["config.json", "tokenizer.json", *SHARDS], "{}")
        files["model.safetensors.index.json"] = json.dumps(index)
        snapshot, blobs = self.folder / "snapshots" / commit, self.folder / "blobs"
        for place in (snapshot, blobs, self.folder / "refs"):
            place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            if name not in left_out:
                blob = blobs / f"{commit[-1]}{name}"
                blob.write_text(text)
                (snapshot / name).symlink_to(blob)
        (self.folder / "refs" / "main").write_text(commit)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "home")


def pins(hub: Hub, lines: list[str] | None = None, update: bool = False) -> Pins:
    log = Log("json", (lines if lines is not None else []).append)
    return Pins(hub.home.parent, {"HF_HOME": str(hub.home)}, log, update)


def settings(**more: Any) -> EngineSettings:
    return EngineSettings.model_validate({"model": REPO} | more)


def kept(hub: Hub) -> dict[str, str]:
    path = hub.home.parent / "models.json"
    return json.loads(path.read_text()) if path.exists() else {}


def test_the_first_fetch_is_kept_when_an_engine_is_ready(hub: Hub) -> None:
    lines: list[str] = []
    first = pins(hub, lines)
    engine = first.pinned(settings(), REPO)
    assert (engine.revision, engine.env) == ("", {})
    first.heard(dataclasses.replace(READY, state=State.STARTING))
    assert kept(hub) == {}
    hub.fetch(OLD)
    first.heard(READY)
    assert kept(hub) == {REPO: OLD}
    assert (hub.home.parent / "models.json").stat().st_mode & 0o777 == 0o600
    told = [json.loads(line) for line in lines]
    assert [one["event"] for one in told] == ["model", "model_kept"]
    assert told[0]["revision"] == "main" and told[1]["revision"] == OLD


def test_a_branch_that_moves_changes_nothing(hub: Hub) -> None:
    hub.fetch(OLD)
    pins(hub).pinned(settings(), REPO)
    hub.fetch(NEW)
    lines: list[str] = []
    engine = pins(hub, lines).pinned(settings(), REPO)
    assert engine.revision == OLD
    assert engine.env == {"HF_HUB_OFFLINE": "1"}
    moved, told = (json.loads(line) for line in lines)
    assert (moved["event"], moved["newer"]) == ("model_moved", NEW)
    assert (told["revision"], told["source"], told["offline"]) == (OLD, "kept", True)


def test_a_new_commit_is_taken_when_asked_for(hub: Hub) -> None:
    hub.fetch(OLD)
    pins(hub).pinned(settings(), REPO)
    again = pins(hub, update=True)
    engine = again.pinned(settings(), REPO)
    assert (engine.revision, engine.env) == ("", {}), "the hub is asked, by the branch"
    hub.fetch(NEW)
    again.heard(READY)
    assert kept(hub) == {REPO: NEW}


def test_a_kept_commit_that_is_not_whole_is_fetched(hub: Hub) -> None:
    hub.fetch(OLD)
    pins(hub).pinned(settings(), REPO)
    (hub.folder / "blobs" / f"a{SHARDS[1]}").unlink()
    engine = pins(hub).pinned(settings(), REPO)
    assert (engine.revision, engine.env) == (OLD, {}), "by its commit, online"


@pytest.mark.parametrize(
    "missing", ["config.json", "tokenizer.json", *SHARDS, "model.safetensors.index.json"]
)
def test_a_whole_snapshot_has_every_part(hub: Hub, missing: str) -> None:
    hub.fetch(OLD, missing)
    cache = cache_of({"HF_HOME": str(hub.home)})
    assert held(cache, REPO) == OLD
    assert is_whole(cache, REPO, OLD) is missing.endswith("index.json")
    assert not is_whole(cache, REPO, NEW)


def test_a_commit_that_is_named_is_served_and_not_kept(hub: Hub) -> None:
    hub.fetch(OLD)
    engine = pins(hub).pinned(settings(revision=NEW), REPO)
    assert (engine.revision, engine.env, kept(hub)) == (NEW, {}, {})
    words = " ".join(argv(engine, "cuda", REPO, Path("/s"), "python"))
    for flag in ("revision", "tokenizer-revision", "code-revision"):
        assert f" --{flag} {NEW}" in words


def test_offline_the_model_keeps_its_name(hub: Hub) -> None:
    """vLLM would name it after the folder it finds it in."""
    hub.fetch(OLD)
    assert pins(hub).pinned(settings(), REPO).served_as == (REPO,)
    assert pins(hub).pinned(settings(served_as=["m"]), REPO).served_as == ("m",)
    named = pins(hub).pinned(settings(args={"served_model_name": "x"}), REPO)
    assert named.served_as == ()


@pytest.mark.parametrize(
    "more",
    [
        {"args": {"revision": "v1"}},
        {"env": {"VLLM_USE_MODELSCOPE": "1"}},
    ],
)
def test_what_the_tier_settles_itself_is_left_alone(hub: Hub, more: dict[str, Any]) -> None:
    hub.fetch(OLD)
    assert pins(hub).pinned(settings(**more), REPO) == settings(**more)


def test_weights_in_another_folder_are_pinned_and_asked_for(hub: Hub) -> None:
    hub.fetch(OLD)
    engine = pins(hub).pinned(settings(args={"download-dir": "/d"}), REPO)
    assert (engine.revision, engine.env) == (OLD, {})


def test_the_tiers_own_cache_and_its_own_word_on_being_offline_count(hub: Hub) -> None:
    hub.fetch(OLD)
    env = {"HF_HOME": str(hub.home), "HF_HUB_OFFLINE": "0"}
    elsewhere = Pins(hub.home.parent, {"HF_HOME": "/nowhere"}, Log("json", lambda _: None))
    engine = elsewhere.pinned(settings(env=env), REPO)
    assert (engine.revision, engine.env) == (OLD, env)


def test_a_folder_of_this_machine_has_no_commit(hub: Hub, tmp_path: Path) -> None:
    code = {"trust-remote-code": True}
    for model in ("demo", str(tmp_path)):
        assert pins(hub).pinned(settings(args=code), model) == settings(args=code)


@pytest.mark.parametrize(
    "more",
    [
        {"args": {"trust-remote-code": True}},
        {"args": {"trust_remote_code": True, "revision": "main"}},
        {"args": {"trust-remote-code": True, "code-revision": "v2"}, "revision": OLD},
        {"args": {"trust-remote-code": True, "tokenizer": "a/b"}, "revision": OLD},
        {"platforms": {"cuda": {"args": {"trust-remote-code": True}}, "cpu": {}}},
        {
            "args": {"trust-remote-code": True},
            "platforms": {"cpu": {"args": {"trust_remote_code": False}}},
        },
    ],
)
def test_code_of_others_needs_a_commit(hub: Hub, more: dict[str, Any]) -> None:
    hub.fetch(OLD)
    with pytest.raises(ConfigError, match="is not a commit"):
        pins(hub).pinned(settings(**more), REPO)
    with pytest.raises(ConfigError):
        pins(hub).pinned(settings(), "bare-name", code=True)


def test_code_of_others_is_run_by_its_commit(hub: Hub) -> None:
    wanted = settings(args={"trust-remote-code": True}, revision=OLD)
    assert pins(hub).pinned(wanted, REPO).revision == OLD


@pytest.mark.parametrize("page", ["{", "[]", '{"a/b": "main"}', '{"a/b": 7}'])
def test_a_damaged_record_is_said(hub: Hub, page: str) -> None:
    (hub.home.parent / "models.json").write_text(page)
    with pytest.raises(ConfigError, match="damaged"):
        pins(hub).pinned(settings(), REPO)


def test_a_record_that_cannot_be_written_stops_nothing(hub: Hub) -> None:
    hub.fetch(OLD)
    lines: list[str] = []
    (hub.home.parent / f"models.{os.getpid()}").mkdir()
    engine = pins(hub, lines).pinned(settings(), REPO)
    assert engine.revision == OLD
    assert json.loads(lines[0])["event"] == "model_not_kept"


def test_a_tier_names_a_commit_where_it_names_the_repository() -> None:
    with pytest.raises(ValueError, match="needs weights"):
        Rung(model="deepseek-r1", revision=OLD)
    rung = Rung(model="deepseek-r1", weights="fp8", revision=OLD)
    with pytest.raises(ValueError, match="on the rung"):
        Tier(tier="t", ladder=(rung,), engine=settings(revision=OLD))
    with pytest.raises(ValueError, match="pattern"):
        settings(revision="main")
