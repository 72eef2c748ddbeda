"""The series that alerts rest on say what is so: ends of keys and certificates, lateness, costs, lives."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seekserve import tls
from seekserve.engine.engine import State
from seekserve.gateway.disk import Disk
from seekserve.log import Log
from seekserve.metrics import OTHERS, TOP_KEYS, top
from seekserve.settings import Prices, Tenancy
from tests.engine.test_engine import launched, living
from tests.engine.test_fenced import afflict, fenced, ready
from tests.support import FakeEngine, Gate, config, gateway, until
from tests.test_reloading import Files
from tests.test_tls import certify


def by_openssl(cert: Path) -> float:
    """The end of a certificate as OpenSSL's own program reads it."""
    words = ["openssl", "x509", "-in", str(cert), "-noout", "-enddate", "-dateopt", "iso_8601"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return datetime.fromisoformat(said.strip().partition("=")[2]).timestamp()


# Certificates.


@pytest.mark.parametrize("days", ["1", "397", "20000"], ids=["short", "usual", "beyond 2049"])
def test_the_end_of_a_certificate_is_openssls(tmp_path: Path, days: str) -> None:
    cert, _ = certify(tmp_path, "one", "-nodes", "-days", days)
    assert tls.ends_at(cert) == by_openssl(cert)


def test_the_end_is_of_the_servers_own_certificate(tmp_path: Path) -> None:
    cert, key = certify(tmp_path / "own")
    above, _ = certify(tmp_path / "above", "two", "-nodes", "-days", "900")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(
        b"words before it\n" + key.read_bytes() + cert.read_bytes() + above.read_bytes()
    )
    assert tls.ends_at(chain) == by_openssl(cert) != by_openssl(above)


@pytest.mark.parametrize("text", ["", "MAMCAQE=", "MIL/", "no base64!", "MAA="])
def test_what_is_no_certificate_has_no_end(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.pem"
    path.write_text(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    assert tls.ends_at(path) is None
    assert tls.ends_at(tmp_path / "absent.pem") is None


async def test_the_end_of_the_certificate_in_force_is_on_the_page(
    engine: FakeEngine, tmp_path: Path
) -> None:
    cert, key = certify(tmp_path / "first")
    listen = {"tls_cert": cert, "tls_key": key}
    async with gateway(config(engine.url, listen=listen)) as gate:
        figures = await gate.figures()
        assert figures["seekserve_certificate_expires_timestamp_seconds"] == by_openssl(cert)
        assert figures["seekserve_certificate_failing"] == 0


def test_a_certificate_that_does_not_fit_leaves_the_old_end(tmp_path: Path) -> None:
    cert, key = certify(tmp_path / "first")
    held = tls.Certificate(cert, key, Log("json", lambda line: None))
    ends, failing = told(held)
    newer, newer_key = certify(tmp_path / "newer", "two", "-nodes", "-days", "30")
    shutil.copy(newer, cert)  # and not its key
    assert not held.renew() and told(held) == (ends, 1.0)
    shutil.copy(newer_key, key)
    assert held.renew() and told(held) == (by_openssl(newer), 0.0)
    assert failing == 0


def told(held: tls.Certificate) -> tuple[float, float]:
    ends, failing = (rows[0][1] for _, _, _, rows in held.gauges())
    return ends, failing


# Keys.


async def minted(gate: Gate, name: str, **more: object) -> str:
    answer = await gate.ops.post("/keys", json={"name": name} | more)
    assert answer.status_code in (200, 201), answer.text
    return answer.text


async def test_keys_tell_when_they_end(engine: FakeEngine) -> None:
    async with gateway(config(engine.url)) as gate:
        before = datetime.now(UTC)
        await minted(gate, "soon", expires="2d")
        await minted(gate, "endless", monthly_budget=12.5)
        figures = await gate.figures()
        ends = {k: v for k, v in figures.items() if k.startswith("seekserve_key_expires")}
        assert list(ends) == ["seekserve_key_expires_timestamp_seconds{key=soon}"]
        due = (before + timedelta(days=2)).timestamp()
        assert due - 1 <= next(iter(ends.values())) <= due + 60
        assert figures["seekserve_key_budget{key=endless}"] == 12.5
        await gate.ops.post("/keys/soon/revoke")
        assert not any(k.startswith("seekserve_key_expires") for k in await gate.figures())


async def test_of_many_keys_the_first_to_end_are_named(engine: FakeEngine) -> None:
    async with gateway(config(engine.url)) as gate:
        for number in range(TOP_KEYS + 3):
            await minted(gate, f"key-{number}", expires=f"{number + 1}d")
        figures = await gate.figures()
        ends = {k: v for k, v in figures.items() if k.startswith("seekserve_key_expires")}
        assert len(ends) == TOP_KEYS + 1
        others = ends[f"seekserve_key_expires_timestamp_seconds{{key={OTHERS}}}"]
        assert others == max(ends.values())
        assert "seekserve_key_expires_timestamp_seconds{key=key-0}" in ends


def test_the_rest_of_many_is_one_row() -> None:
    rows = top({f"key-{number}": float(number) for number in range(TOP_KEYS + 2)})
    assert rows[0] == ((f"key-{TOP_KEYS + 1}",), TOP_KEYS + 1.0)
    assert rows[-1] == ((OTHERS,), 1.0) and len(rows) == TOP_KEYS + 1


# Lateness and costs, by class.


async def test_first_tokens_that_come_late_are_counted(engine: FakeEngine) -> None:
    settings = config(engine.url)
    hasty = {"public": Tenancy(share=1.0, ttft_target_s=0.2)}
    tier = settings.tier.model_copy(update={"classes": hasty})
    async with gateway(settings.model_copy(update={"tier": tier})) as gate:
        await gate.stream()
        late = "seekserve_first_tokens_late_total{class=public,model=fake}"
        assert late in await gate.figures(), "it counts from the first token on, late or not"
        await gate.stream("fault:late wait=0.4")
        figures = await gate.figures()
        assert figures[late] >= 1
        assert figures["seekserve_first_token_target_seconds{class=public}"] == 0.2


async def test_costs_are_told_by_class_and_by_key(engine: FakeEngine) -> None:
    settings = config(engine.url)
    prices = Prices(prompt=1e6, cached=1e6, completion=1e6)  # one USD a token
    tier = settings.tier.model_copy(update={"prices": prices})
    async with gateway(settings.model_copy(update={"tier": tier})) as gate:
        await gate.stream()
        figures = await gate.figures()
        assert figures["seekserve_cost_total{class=public,currency=USD}"] == 18  # 12 and 6 tokens
        assert figures["seekserve_cost_total{class=batch,currency=USD}"] == 0
        assert figures["seekserve_key_spent{currency=USD,key=-}"] == 18


# Reloads, disk, engines' lives.


async def test_reloads_are_counted_by_outcome(engine: FakeEngine) -> None:
    settings = config(engine.url)
    files = Files(settings)
    async with gateway(settings, renewal=files) as gate:
        await gate.ops.post("/reload")
        assert await reloads(gate) == (1, 0, 0)
        files.broken = True
        assert (await gate.ops.post("/reload")).status_code == 422
        assert await reloads(gate) == (1, 1, 1)
        files.broken = False
        await gate.ops.post("/reload")
        assert await reloads(gate) == (2, 1, 0)


async def reloads(gate: Gate) -> tuple[float, ...]:
    figures = await gate.figures()
    names = ("reloads_total{outcome=done}", "reloads_total{outcome=failed}", "reload_failing")
    return tuple(figures[f"seekserve_{name}"] for name in names)


async def test_the_disk_is_the_state_folders(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    assert disk.gauges()[0][3] == []
    async with disk:
        await until(lambda: bool(disk.gauges()[0][3]), "a look")
        rows = {of: value for (of,), value in disk.gauges()[0][3]}
    found = shutil.disk_usage(tmp_path)
    assert rows["total"] == found.total and 0 < rows["free"] <= found.total


async def test_an_engine_that_is_lost_is_counted(mortal: FakeEngine) -> None:
    settings = config(mortal.url)
    async with gateway(settings) as gate:
        fenced = "seekserve_engine_ends_total{engine=engine-0,how=fenced}"
        name = next(iter(gate.fleet.snapshots())).name
        fenced = fenced.replace("engine-0", name)
        assert (await gate.figures())[fenced] == 0, "it is there before anything happens"
        mortal.process.kill()

        async def seen() -> bool:
            return (await gate.figures())[fenced] == 1

        await until(seen, "the loss to be seen")
        figures = await gate.figures()
        assert figures[f"seekserve_engine_stage{{engine={name},stage=connect}}"] == 1


async def test_lives_are_counted_by_how_they_end(tmp_path: Path) -> None:
    async with ready(tmp_path) as life:
        os.kill(life.births[0], signal.SIGKILL)
        await fenced(life)
        await afflict(life, "html")
        life.engine.doubt()
        await until(lambda: life.engine.snapshot.restarts == 2, "the second end")
        assert life.engine.snapshot.ends == {"exited": 1, "fenced": 1, "stalled": 0}


async def test_a_start_that_stalls_is_counted(tmp_path: Path) -> None:
    life = launched(tmp_path, "--ready-after", "300", stall_s=1)
    async with living(life):
        failed = await life.becomes(State.FAILED)
        assert failed.ends == {"exited": 0, "fenced": 0, "stalled": 1}
