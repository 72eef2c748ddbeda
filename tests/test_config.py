"""Settings are frozen, checked once, and what does not fit is told with its path."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from seekserve.config import ATTACHED, configs_dir, load, parse_tier, read_tier, tier_names
from seekserve.errors import ConfigError, OpenToTheWorld
from seekserve.settings import Listen

LOCAL: dict[str, Any] = {"host": "127.0.0.1", "port": 8000}


@pytest.mark.parametrize("name", tier_names())
def test_every_shipped_tier_loads(name: str, tmp_path: Path) -> None:
    attach = ("http://127.0.0.1:1",) if name == ATTACHED else ()
    loaded = load(name, attach=attach, listen=LOCAL, state_dir=tmp_path)
    assert loaded.tier.tier == name
    assert loaded.tier.about


def test_the_tier_for_running_engines_wants_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(ATTACHED, listen=LOCAL, state_dir=tmp_path)
    assert "--engine" in raised.value.todo


def test_the_reference_is_a_tier_file() -> None:
    parse_tier(configs_dir() / "reference.yaml")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tier: x\nlimts: {}", "limts"),
        ("tier: x\nlimits: {runing: 1}", "limits.runing"),
        ("tier: x\nlimits: {running: 0}", "limits.running"),
        ("tier: x\nengine: {platforms: {tpu: {}}}", "engine.platforms.tpu"),
        ("tier: x\ndefaults: {temperature: hot}", "defaults.temperature"),
        ("about: no name", "tier"),
        ("", ""),
        ("- a list", ""),
        ("tier: [", "not YAML"),
        ("tier: \x00", "not YAML"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(tmp_path: Path, text: str, path: str) -> None:
    file = tmp_path / "tier.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_tier(str(file))
    assert path in caught.value.message
    assert str(file) in caught.value.message


def test_every_wrong_setting_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "tier.yaml"
    path.write_text(
        "tier: mine\nladder:\n  - {model: a}\n  - model: b\n    contxt: 5\n\n"
        "engine:\n  modle: x\nlimits: {running: 0}\n"
    )
    with pytest.raises(ConfigError) as raised:
        read_tier(str(path))
    for told in (
        "line 5: ladder.1.contxt: there is no such setting",
        "line 8: engine.modle: there is no such setting",
        "line 9: limits.running: ",
    ):
        assert told in raised.value.message
    assert "reference.yaml" in raised.value.todo


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "tier.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("tier.yaml", "absent.yaml"):
        with pytest.raises(ConfigError, match=name):
            read_tier(str(tmp_path / name))
    with pytest.raises(ConfigError) as caught:
        read_tier("no-such")
    assert "demo" in caught.value.todo


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_open_to_the_world_is_refused_without_a_key(host: str, tmp_path: Path) -> None:
    listen = {"host": host, "port": 1}
    with pytest.raises(OpenToTheWorld):
        load("demo", listen=listen, state_dir=tmp_path)
    assert load("demo", listen=listen, api_key="sk", state_dir=tmp_path).key_hashes


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_home(host: str) -> None:
    assert Listen(host=host).loopback


def test_keys_are_kept_as_digests_only(tmp_path: Path) -> None:
    loaded = load("demo", listen=LOCAL, api_key="sk-secret", engine_key="ek", state_dir=tmp_path)
    assert loaded.key_hashes == (hashlib.sha256(b"sk-secret").digest(),)
    assert "sk-secret" not in repr(loaded)
    assert "'ek'" not in repr(loaded)


@pytest.mark.parametrize("key", [" ", "a b", "sk-ü", "sk\n", "sk-\udcff"])
def test_a_key_that_no_header_can_carry_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="API key"):
        load("demo", listen=LOCAL, api_key=key, state_dir=tmp_path)


def test_engines_are_http_or_unix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="attach"):
        load(None, attach=("https://x",), listen=LOCAL, state_dir=tmp_path)
    attached = load(None, attach=("http://x:1",), listen=LOCAL, state_dir=tmp_path)
    assert attached.tier.tier == "attach"


def test_a_configuration_is_frozen(tmp_path: Path) -> None:
    loaded = load("demo", listen=LOCAL, state_dir=tmp_path)
    with pytest.raises(ValidationError):
        loaded.tier.limits.running = 1
