"""One target under atheris, for some seconds: `python -m tests.fuzz.one NAME SECONDS FOLDER`.

libFuzzer keeps what it found interesting in FOLDER/corpus, and ends at the first finding, which it
writes to FOLDER. tests.fuzz starts it again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["seekserve"]):
    from tests.fuzz.targets import CORPUS, TARGETS
    from tests.property.rich import RICH

HANG_S = 10
LARGEST = 4096
WORDS = (
    *("data: ", "data: [DONE]", "\n\n", "\r\n\r\n", ": ping", "event: ", '"usage":{', '"error":{'),
    *('"choices":[{', '"delta":{', '"finish_reason":"stop"', '"index":0', '"tool_calls":[{'),
    *("HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "content-length: ", "\r\n0\r\n\r\n"),
    *("transfer-encoding: chunked\r\n", "connection: close\r\n", "connection: upgrade\r\n"),
    *(
        "POST /v1/chat/completions HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n",
        "host: x\r\n",
        "upgrade: h2c\r\n",
    ),
    *(
        "expect: 100-continue\r\n",
        '"role":"assistant"',
        '"type":',
        "null",
        "\\ud800",
        "1e999",
        "{}",
    ),
)


def dictionary(folder: Path) -> Path:
    """Words that such bytes are made of, for the fuzzer to put in."""
    fields = {f'"{name}":' for good in RICH.values() for name in good}
    escaped = (
        "".join(f"\\x{byte:02x}" for byte in word.encode()) for word in [*sorted(fields), *WORDS]
    )
    path = folder / "dictionary"
    path.write_text("".join(f'"{word}"\n' for word in escaped))
    return path


def begin(name: str, folder: Path) -> Path:
    """The corpus to work in: what earlier runs kept, and for bodies the good requests."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    if name == "bodies":
        for number, good in enumerate(RICH.values()):
            (corpus / f"good-{number}").write_bytes(
                bytes([number, 0, 1]) + json.dumps(good).encode()
            )
    return corpus


if __name__ == "__main__":
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    corpus = begin(name, folder)
    known = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={HANG_S}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={folder}/",
        f"-dict={dictionary(folder)}",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-use_value_profile=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus), *known], TARGETS[name])
    atheris.Fuzz()
