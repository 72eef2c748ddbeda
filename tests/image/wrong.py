"""What is wrong with how a container is started: told with cause and mend, and an exit code of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.image.container import Image, owned, running

BEFORE = ("serve", "--host", "0.0.0.0", "--first-key", "--engine", "http://127.0.0.1:9")
KEY_FILE = {"SEEKSERVE_API_KEY_FILE": "/run/secrets/api_key"}
VLLM = {"PYTHONPATH": "/models"}
FLAGSHIP = ("serve", "--tier", "flagship")
ENDS_S = 180.0


class Case(NamedTuple):
    """`cause` and `mend` must be in what it says."""

    name: str
    cause: str
    mend: str
    image: Image
    place: Path
    words: tuple[str, ...] = BEFORE
    env: Mapping[str, str] = {}


def wrong_input_is_told_and_ends(
    gateway: Image, cpu: Image, folder: Path
) -> Iterator[tuple[str, str]]:
    empty, secret = folder / "empty", folder / "secret"
    for place in (empty, secret):
        owned(place / "state")
        (place / "secrets").mkdir()
    (empty / "secrets" / "api_key").touch()
    (secret / "secrets" / "api_key").write_text("sk-0123456789abcdef0123456789abcdef")
    (secret / "secrets" / "api_key").chmod(0o400)
    owned(folder / "theirs" / "state", 0o755, user=0)
    blind = folder / "blind"  # where an accelerator's vLLM is installed, as far as a start can tell
    (blind / "models" / "vllm").mkdir(parents=True)
    (blind / "models" / "vllm" / "__init__.py").touch()
    owned(blind / "state")
    (fine := folder / "fine").mkdir()
    owned(fine / "state")
    typo = (*BEFORE, "--tier", "flagshipp")
    small = ("plan", "--gpu", "rtx-4090", "--model", "deepseek-r1")
    cases = [
        Case("no state volume", "Read-only file system", "on a volume", gateway, folder / "none"),
        Case("a state volume of root's", "Permission denied", "user 10001", gateway, folder / "theirs"),
        Case("a secret of root's", "Permission denied", "user 10001", gateway, secret, env=KEY_FILE),
        Case("an empty secret", "is empty", "SEEKSERVE_API_KEY_FILE", gateway, empty, env=KEY_FILE),
        Case("a bad tier", "no tier 'flagshipp'", "flagship", gateway, fine, typo),
        Case("no engine beside the gateway", "No engine is installed", "--engine", gateway, fine, ()),
        Case("no accelerator for its tier", "No accelerator", "seekserve plan", cpu, fine, FLAGSHIP),
        Case("no GPU given", "none can be seen", "--gpus all", gateway, blind, ("serve",), VLLM),
        Case("no GPU given to a tier", "none can be seen", "--gpus all", gateway, blind, FLAGSHIP, VLLM),
        Case("too small a GPU", "DOES NOT FIT", "r1-distill-qwen-14b", gateway, fine, small),
    ]  # fmt: skip
    for case in cases:
        began = time.monotonic()
        with running(case.image, case.place, *case.words, env=case.env) as container:
            code = container.outer.wait(ENDS_S)
            told = " ".join(container.said.split())
        assert code == 2, f"{case.name}: {code} {told}"
        assert case.cause in told and case.mend in told, f"{case.name}: {told}"
        assert "Traceback" not in told, f"{case.name}: {told}"
        yield case.name, f"exit {code}, {time.monotonic() - began:.1f} s"


CHECKS = (wrong_input_is_told_and_ends,)
