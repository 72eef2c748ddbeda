"""What podman-compose makes of compose files, all in one child, because it takes long to come up.

Run as a program it is that child: it loads podman-compose once and forks for each file named. `--dry-run`
lets it do without podman.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Answer:
    code: int
    said: str
    """All that it printed."""
    config: str
    """Of that, what went to stdout."""


def ask(files: Sequence[Path], env: Mapping[str, str]) -> dict[str, Answer]:
    """By the files' names, each with the profile `watch`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SEEKSERVE_")}
    done = subprocess.run(
        [sys.executable, __file__, *map(str, files)],
        env=inherited | dict(env),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {name: Answer(*found) for name, found in json.loads(done.stdout).items()}


def _child(paths: list[str]) -> None:
    if yaml.__with_libyaml__:  # five times as fast
        yaml.SafeLoader, yaml.SafeDumper = yaml.CSafeLoader, yaml.CSafeDumper  # type: ignore[misc, assignment]
    import podman_compose

    found = {}
    for path in paths:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            if not (pid := os.fork()):
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                words = ["--dry-run", "-f", path, "--profile", "watch", "config"]
                sys.argv = ["podman-compose", *words]
                podman_compose.main()
                sys.exit()
            _, status = os.waitpid(pid, 0)
            out.seek(0)
            err.seek(0)
            config, trouble = out.read(), err.read()
        code = os.waitstatus_to_exitcode(status)
        found[Path(path).name] = (code, trouble + config, config)
    print(json.dumps(found))


if __name__ == "__main__":
    _child(sys.argv[1:])
