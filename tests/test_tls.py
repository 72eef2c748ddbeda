"""HTTPS: streams flow over it, a new certificate is taken up without a stir, and a bad one is not."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seekserve import tls
from seekserve.cli import cli
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.tls import Certificate
from tests.support import FakeEngine, Gate, config, gateway, post, until


def certify(folder: Path, name: str = "one", *more: str) -> tuple[Path, Path]:
    """A certificate for this machine, signed by itself, and its key."""
    folder.mkdir(exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    words += [*(more or ("-nodes",)), "-keyout", str(key), "-out", str(cert)]
    subprocess.run(words, check=True, capture_output=True)
    return cert, key


def take_over(source: tuple[Path, Path], target: tuple[Path, Path]) -> None:
    """As certbot does it: new files come into the place of the old."""
    for new, old in zip(source, target, strict=True):
        os.replace(new, old)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return certify(tmp_path / "first")


def settings(engine: FakeEngine, files: tuple[Path, Path], **listen: Any) -> Any:
    return config(engine.url, listen={"tls_cert": files[0], "tls_key": files[1]} | listen)


@pytest.fixture
async def secure(engine: FakeEngine, files: tuple[Path, Path]) -> AsyncIterator[Gate]:
    async with gateway(settings(engine, files, head_s=0.5, unread_s=0.5)) as serving:
        yield serving


def trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cert)


async def shown(gate: Gate) -> str:
    """The name on the certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", gate.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return "two" if b"\x03two" in der else "one"


# Serving.


@pytest.mark.parametrize("stream", [True, False])
async def test_answers_are_the_same_as_without(secure: Gate, stream: bool) -> None:
    answer = await secure.ask("tokens=500 ", stream=stream)
    assert answer.status_code == 200 and answer.text.count(" w499") == 1
    assert ("[DONE]" in answer.text) is stream
    assert answer.http_version == "HTTP/1.1"


async def test_a_stream_flows(secure: Gate, engine: FakeEngine) -> None:
    """Its parts arrive while the engine still works: nothing gathers them."""
    chat = secure.chat("fault:hang_mid_stream", stream=True)
    async with secure.client.stream("POST", "/v1/chat/completions", json=chat) as answer:
        async for line in answer.aiter_lines():
            if " w0" in line:
                break
        assert engine.running == 1
    await until(lambda: engine.running == 0, "the engine to stop")
    await secure.at_rest()


async def test_one_that_does_not_read_is_dropped(
    secure: Gate, engine: FakeEngine, files: tuple[Path, Path]
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", secure.port, ssl=trusting(files[0]))
    writer.write(post(json.dumps(secure.chat("fault:endless", stream=True)).encode()))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await until(lambda: engine.running == 1, "the stream to run")
    await until(lambda: engine.running == 0, "the engine to be told to stop")
    await secure.at_rest()
    writer.transport.abort()


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"],
    ids=["nothing", "http", "half"],
)
async def test_one_that_shakes_no_hands(secure: Gate, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.port)
    writer.write(said)
    async with asyncio.timeout(20):
        assert b"HTTP" not in await reader.read()
    writer.close()
    assert (await secure.ask()).status_code == 200


async def test_hands_not_shaken_count_as_connections(
    engine: FakeEngine, files: tuple[Path, Path]
) -> None:
    async with gateway(settings(engine, files, connections=4)) as gate:
        await gate.client.get("/health/live")  # the client's own is one of them
        crowd = [await asyncio.open_connection("127.0.0.1", gate.port) for _ in range(6)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in crowd]
        await until(lambda: sum(end.done() for end in ends) == 3, "three to be turned away")
        assert (await gate.ask()).status_code == 200
        for _, writer in crowd:
            writer.close()
        await asyncio.gather(*ends)


async def test_nothing_below_1_2(secure: Gate) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
        await asyncio.open_connection("127.0.0.1", secure.port, ssl=old)
    assert "NO_PROTOCOLS" not in str(refused.value), "this client would speak it"


# Renewing.


async def test_a_new_certificate_disturbs_nobody(
    engine: FakeEngine, files: tuple[Path, Path], tmp_path: Path
) -> None:
    new = certify(tmp_path / "second", "two")
    async with gateway(settings(engine, files)) as gate:
        running = asyncio.create_task(gate.stream("fault:slow interval=0.02 tokens=150"))
        await until(lambda: engine.running == 1, "the stream to run")
        assert await shown(gate) == "one"
        take_over(new, files)

        async def renewed() -> bool:
            return await shown(gate) == "two"

        await until(renewed, "the watch to take it up")
        assert "[DONE]" in (await running).text
        assert (await gate.ask()).status_code == 200, "on the connection from before"
    assert any('"certificate_read"' in line for line in gate.lines)


async def test_the_files_are_watched_and_bad_ones_left(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    lines: list[str] = []
    cert, key = files
    new = certify(tmp_path / "second", "two")
    good = cert.read_bytes()
    async with Certificate(cert, key, Log("json", lines.append), look_s=0.02) as certificate:
        first = certificate.context
        cert.write_bytes(b"no certificate")
        await until(lambda: any("certificate_failed" in line for line in lines), "it to be said")
        cert.write_bytes(good[: len(good) // 2])
        os.replace(new[0], cert)
        await until(lambda: any("does not belong" in line for line in lines), "it to be said")
        assert certificate.context is first, "what was good stays"
        count = len(lines)
        await asyncio.sleep(0.2)
        assert len(lines) == count, "a fault is told once"
        os.replace(new[1], key)
        await until(lambda: certificate.context is not first, "the new one to be taken")
    assert "PRIVATE" not in "".join(lines)


# Errors for people.


def missing_cert(cert: Path, key: Path) -> None:
    cert.unlink()


def missing_key(cert: Path, key: Path) -> None:
    key.unlink()


def folder_for_key(cert: Path, key: Path) -> None:
    key.unlink()
    key.mkdir()


def foreign_key(cert: Path, key: Path) -> None:
    os.replace(certify(cert.parent / "other")[1], key)


def locked_key(cert: Path, key: Path) -> None:
    take_over(certify(cert.parent / "other", "one", "-passout", "pass:secret"), (cert, key))


def no_pem(cert: Path, key: Path) -> None:
    cert.write_text("hello")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (missing_cert, "There is no certificate file"),
        (missing_key, "There is no key file"),
        (folder_for_key, "Cannot read the key file"),
        (foreign_key, "does not belong to the certificate"),
        (locked_key, "locked with a passphrase"),
        (no_pem, "in PEM form"),
    ],
)
def test_files_that_cannot_work_are_named(files: tuple[Path, Path], spoil: Any, says: str) -> None:
    spoil(*files)
    with pytest.raises(ConfigError, match=says) as caught:
        tls.read(*files)
    assert caught.value.todo


def test_the_command_says_so_before_anything_starts(tmp_path: Path) -> None:
    env = {"SEEKSERVE_STATE_DIR": str(tmp_path)}
    words = ["serve", "--engine", "unix:/nowhere", "--port", "0", "--tls-cert", "/nowhere/cert.pem"]
    half = CliRunner().invoke(cli, words, env=env)
    assert half.exit_code == 2 and "--tls-cert and --tls-key go together" in half.output
    whole = CliRunner().invoke(cli, [*words, "--tls-key", "/nowhere/key.pem"], env=env)
    assert whole.exit_code == 2 and "no certificate file /nowhere/cert.pem" in whole.output
