"""Secrets as files: read once, refused with the file's name and the mend, and in nobody's environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seekserve.doctor.setups import KEYS
from seekserve.engine.process import Command, secret
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.pins import OFFLINE, TOKEN_PATH, Pins
from seekserve.secretfiles import API_KEY, HUB_TOKEN, MOST_BYTES, SECRETS, hub_token, take, twin
from seekserve.settings import EngineSettings

TEXT = "sk-a-secret-of-32-characters-ABC"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "api_key"
    path.write_text(TEXT + "\n")
    return path


def refused(environ: dict[str, str], given: str | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        take(API_KEY, given, environ)
    assert TEXT not in caught.value.message + caught.value.todo
    return caught.value


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n\n"])
def test_a_file_stands_for_its_variable(tmp_path: Path, name: str, end: str) -> None:
    (tmp_path / "secret").write_bytes(TEXT.encode() + end.encode())
    environ = {twin(name): str(tmp_path / "secret"), "PATH": "/bin"}
    assert take(name, None, environ) == TEXT
    assert environ == {"PATH": "/bin"}, "an engine would inherit it"


def test_a_variable_alone_and_nothing_at_all() -> None:
    environ = {API_KEY: TEXT}
    assert take(API_KEY, None, environ) == TEXT
    assert environ == {} and take(API_KEY, None, environ) is None
    assert take(API_KEY, TEXT, {API_KEY: "another"}) == TEXT, "a flag comes first"


def test_an_empty_variable_is_none(file: Path) -> None:
    """As compose files leave them."""
    assert take(API_KEY, "", {API_KEY: "", twin(API_KEY): str(file)}) == TEXT
    assert take(API_KEY, None, {API_KEY: "", twin(API_KEY): ""}) is None


@pytest.mark.parametrize("given", [{API_KEY: TEXT}, {}])
def test_both_are_one_too_many(file: Path, given: dict[str, str]) -> None:
    error = refused(given | {twin(API_KEY): str(file)}, None if given else TEXT)
    assert API_KEY in error.message and twin(API_KEY) in error.message and str(file) in error.todo


def test_what_cannot_be_a_secret_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "large").write_bytes(b"x" * (MOST_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    wanted = {
        "missing": "No such file", ".": "directory", "empty": "is empty", "blank": "is empty",
        "pipe": "is empty", "large": "64 KiB", "binary": "not text",
    }  # fmt: skip
    for name, why in wanted.items():
        error = refused({twin(API_KEY): str(tmp_path / name)})
        assert why in error.message and twin(API_KEY) in error.message
        assert str(tmp_path / name) in error.message and twin(API_KEY) in error.todo


def test_a_pipe_is_read_where_something_is_in_it_and_never_waited_for(tmp_path: Path) -> None:
    """As a shell's <(command) is one, whose command takes its time."""
    mouth, end = os.pipe()
    with os.fdopen(mouth), os.fdopen(end, "wb", buffering=0) as writer:
        said = {twin(API_KEY): f"/proc/self/fd/{mouth}"}
        assert "nobody has written" in refused(dict(said)).message
        writer.write(TEXT.encode() + b"\n")
        writer.close()
        assert take(API_KEY, None, said) == TEXT


@pytest.mark.parametrize("inside", ["\n", "\0", "\r\n", "\x1b", "\u2028"])
def test_what_no_client_can_send_is_no_secret(tmp_path: Path, inside: str) -> None:
    (tmp_path / "key").write_bytes(f"{TEXT}{inside}{TEXT}\n".encode())
    assert "more than one line" in refused({twin(API_KEY): str(tmp_path / "key")}).message


def test_the_mark_of_an_encoding_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf" + TEXT.encode() + b"\r\n")
    assert take(API_KEY, None, {twin(API_KEY): str(tmp_path / "key")}) == TEXT


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"x" * MOST_BYTES)
    assert take(API_KEY, None, {twin(API_KEY): str(tmp_path / "key")}) == "x" * MOST_BYTES


@pytest.mark.skipif(os.geteuid() != 0, reason="must become another user")
def test_a_file_of_somebody_elses_is_named_with_who_cannot_read_it(file: Path) -> None:
    """As in a container whose secret is its host's root's."""
    file.chmod(0o600)
    os.seteuid(10001)
    try:
        error = refused({twin(API_KEY): str(file)})
    finally:
        os.seteuid(0)
    assert "Permission denied" in error.message and "readable by user 10001" in error.todo


def test_no_secret_and_no_twin_reaches_an_engine() -> None:
    assert [n for n in SECRETS if not secret(n)] == [HUB_TOKEN], "which fetches the model"
    assert [n for n in map(twin, SECRETS) if not secret(n)] == []
    assert set(SECRETS) - {HUB_TOKEN} < set(KEYS), "what doctor looks for"
    assert not {n for n in Command(()).environ() if n in KEYS}


def settings(tmp_path: Path, environ: dict[str, str], **more: str) -> EngineSettings:
    asked = EngineSettings(model="deepseek-ai/DeepSeek-Test", **more)  # type: ignore[arg-type]
    pins = Pins(tmp_path, {"HF_HOME": str(tmp_path / "hub")} | environ, Log("json", print))
    return pins.pinned(asked, asked.model)


def test_the_hubs_token_is_for_the_download_alone(tmp_path: Path, file: Path) -> None:
    environ = {twin(HUB_TOKEN): str(file)}
    fetching = settings(tmp_path, environ)
    assert fetching.env[TOKEN_PATH] == str(file)
    assert TEXT not in str(fetching)
    repo = tmp_path / "hub" / "hub" / "models--deepseek-ai--DeepSeek-Test"
    snapshot = repo / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (snapshot / name).write_text("{}")
    whole = settings(tmp_path, environ, revision="a" * 40)
    assert whole.env == {OFFLINE: "1"}
    assert Pins(tmp_path, environ, Log()).pinned(EngineSettings(), "demo").env == {}


def test_a_hub_token_that_cannot_be_read_is_known_at_the_start(tmp_path: Path, file: Path) -> None:
    for environ in ({}, {HUB_TOKEN: TEXT}):
        assert hub_token(environ) is None
    for environ in ({twin(HUB_TOKEN): "/nowhere"}, {twin(HUB_TOKEN): str(file), HUB_TOKEN: "x"}):
        with pytest.raises(ConfigError, match="HF_TOKEN_FILE"):
            Pins(tmp_path, environ, Log())
