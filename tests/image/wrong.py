"""What is wrong with how a container is started: told with cause and mend, and it ends, with a code of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tests.image.container import Image, owned, running

BEFORE = ("serve", "--host", "0.0.0.0", "--first-key", "--engine", "http://127.0.0.1:9")
KEY_FILE = {"SEEKSERVE_API_KEY_FILE": "/run/secrets/api_key"}
ENDS_S = 60.0


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
    (fine := folder / "fine").mkdir()
    owned(fine / "state")
    cases = [
        ("no state volume", gateway, folder / "none", BEFORE, {}, "Read-only file system", "SEEKSERVE_STATE_DIR"),
        ("a state volume of root's", gateway, folder / "theirs", BEFORE, {}, "Permission denied", "10001"),
        ("a secret of root's", gateway, secret, BEFORE, KEY_FILE, "Permission denied", "readable by user 10001"),
        ("an empty secret", gateway, empty, BEFORE, KEY_FILE, "is empty", "SEEKSERVE_API_KEY_FILE"),
        ("a bad tier", gateway, fine, (*BEFORE, "--tier", "flagshipp"), {}, "no tier 'flagshipp'", "flagship"),
        ("no engine beside the gateway", gateway, fine, (), {}, "No engine is installed", "--engine"),
        ("no accelerator for an accelerator's tier", cpu, fine, ("serve", "--tier", "flagship"), {}, "", ""),
        ("too small a GPU", gateway, fine, ("plan", "--gpu", "rtx-4090", "--model", "deepseek-r1"), {}, "", ""),
    ]  # fmt: skip
    for name, image, place, words, env, cause, mend in cases:
        began = time.monotonic()
        with running(image, place, *words, **env) as container:
            code = container.outer.wait(ENDS_S)
            told = " ".join(container.said.split())
        assert code == 2, f"{name}: {code} {told}"
        assert cause in told and mend in told and "Traceback" not in told, f"{name}: {told}"
        yield name, f"exit {code}, {time.monotonic() - began:.1f} s: {told[-110:]}"


CHECKS = (wrong_input_is_told_and_ends,)
