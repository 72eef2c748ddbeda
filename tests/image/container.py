"""A container of an image as a runtime would start it, made of namespaces: where no runtime runs, this does.

The image's own words, environment and user; a read-only root with the volumes and /tmp writable; its own
processes, mounts and network (loopback alone); no capability and no way to one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE = "/var/lib/seekserve"
ENTER = """
set -e
root=$1 state=$2 models=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /sys "$root/sys"; mount -o remount,bind,ro "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root/run"; mount -t tmpfs -o mode=755 run "$root/run"
if [ -d "$state/secrets" ]; then
  mkdir "$root/run/secrets"; mount --bind "$state/secrets" "$root/run/secrets"
fi
if [ -d "$state/state" ]; then mount --bind "$state/state" "$root/var/lib/seekserve"; fi
mount --bind "$models" "$root/models"
mount -o remount,bind,ro "$root"
ip link set lo up
exec chroot "$root" "$@"
"""
NAMESPACES = ("unshare", "--mount", "--pid", "--fork")


@dataclass(frozen=True)
class Image:
    """Where its files lie, and its configuration."""

    root: Path
    config: Mapping[str, Any]

    def words(self, command: Sequence[str] | None) -> list[str]:
        told: list[str] = self.config["Entrypoint"] + list(command or self.config["Cmd"])
        return told

    def confined(self, command: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """The command as the image's user, with nothing of this machine's environment."""
        user, _, group = self.config["User"].partition(":")
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in env.items())]
        drop = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        who = ("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *drop)
        return [*who, "/usr/bin/env", "-i", f"--chdir={STATE}", *variables, *command]


@dataclass
class Running:
    image: Image
    outer: subprocess.Popen[bytes]
    output: Path
    env: Mapping[str, str]

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts."""
        pids = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
        assert pids, f"it has ended:\n{self.said}"
        return int(pids[0])

    @property
    def said(self) -> str:
        return self.output.read_text()

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker exec` does."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-r"]
        words = [*enter, *self.image.confined(command, self.env)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120)

    def curl(self, *words: str) -> list[str]:
        """A client's command line, in its network."""
        return ["nsenter", "-t", str(self.pid), "-n", "curl", "-sS", "--max-time", "120", *words]

    def ready(self) -> tuple[bool, str]:
        """What the image's own health check says."""
        test = self.image.config["Healthcheck"]["Test"]
        assert test[0] == "CMD"
        done = self.execute(*test[1:])
        return done.returncode == 0, done.stdout.strip()

    def until_ready(self, within_s: float) -> float:
        began = time.monotonic()
        while not (told := self.ready())[0]:
            assert self.outer.poll() is None, f"it ended:\n{self.said}"
            assert time.monotonic() - began < within_s, f"{told[1]}\n{self.said}"
            time.sleep(0.5)
        return time.monotonic() - began

    def kill(self) -> None:
        """All of it: its first process takes the others along. That one is named, since the kernel forgets
        whom to kill with `unshare` when the user changes.
        """
        if self.outer.poll() is None:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                os.kill(self.pid, signal.SIGKILL)
        self.outer.wait()

    def stop(self, within_s: float) -> tuple[int, float]:
        """Its exit code after the image's stop signal, and how long that took."""
        began = time.monotonic()
        os.kill(self.pid, signal.Signals[self.image.config["StopSignal"]])
        return self.outer.wait(within_s), time.monotonic() - began


@contextmanager
def running(
    image: Image,
    folder: Path,
    *command: str,
    beside: Running | None = None,
    entry: bool = True,
    env: Mapping[str, str] = {},
) -> Iterator[Running]:
    """With `folder`/state and `folder`/secrets as its volume and secrets, where they are there; `beside`
    another, in the network of that. Without `entry` the command stands alone.
    """
    folder.mkdir(exist_ok=True)
    (models := folder / "models").mkdir(exist_ok=True)
    models.chmod(0o777)
    words = image.words(command or None) if entry else list(command)
    network = ("nsenter", "-t", str(beside.pid), "-n") if beside else ()
    apart = (*NAMESPACES, *(() if beside else ("--net",)))
    inside = (str(image.root), str(folder), str(models), *image.confined(words, env))
    output = folder / "output.txt"
    with output.open("wb") as sink:
        outer = subprocess.Popen(
            [*network, *apart, "sh", "-c", ENTER, "sh", *inside],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
        )  # fmt: skip
    container = Running(image, outer, output, env)
    try:
        while not Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split():
            if outer.poll() is not None:
                break
            time.sleep(0.01)
        yield container
    finally:
        container.kill()


def chat(base: str, key: str, said: str, stream: bool = False, **more: Any) -> list[str]:
    """curl's words for a chat."""
    asked = {"model": "deepseek-demo", "messages": [{"role": "user", "content": said}]}
    body = json.dumps(asked | {"stream": stream} | more)
    headers = ["-H", "content-type: application/json"]
    headers += ["-H", f"authorization: Bearer {key}"] if key else []
    return ["-N", f"{base}/v1/chat/completions", *headers, "-d", body]


def owned(folder: Path, mode: int = 0o700, user: int = 10001) -> Path:
    """A volume as a runtime makes it from the image's own folder."""
    subprocess.run(["install", "-d", "-o", str(user), "-g", str(user), "-m", f"{mode:o}", folder])
    return folder
