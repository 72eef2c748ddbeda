"""Images built without a daemon: podman's and buildah's store in a folder of its own, thrown away after.

Debian's packages do (podman, buildah, debootstrap), as root. What pip is configured with outside reaches
the builds as a secret and as folders mounted while they run; no layer has it.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seekserve import __version__

ROOT = Path(__file__).parents[2]
BASE = "localhost/seekserve-base"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
SLIM = (
    "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/cache/*/*",
    "var/lib/apt/lists/*", "var/log/*", "dev/*", "proc/*", "sys/*", "usr/lib/*/gconv/*",
    "usr/lib/python3/dist-packages/setuptools*", "usr/lib/python3/dist-packages/pkg_resources",
    "usr/lib/python3/dist-packages/wheel*",
)  # fmt: skip
"""What the official slim images leave out of Debian as well."""
GENTLY = ("nice", "-n", "15", "ionice", "-c3")


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        where = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))
        self._place = (*where, "--storage-driver", "vfs")

    def podman(self, *words: str) -> str:
        return said("podman", *self._place, *words)

    def buildah(self, *words: str) -> str:
        return said("buildah", *self._place, *words)

    def base(self) -> str:
        """The Dockerfile's own base where it can be pulled, else a Debian with a Python in it."""
        found = re.search(r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.M)
        assert found
        pull = ("timeout", "60", "podman", *self._place, "pull", "-q", found[1])
        if subprocess.run(pull, capture_output=True).returncode == 0:
            return found[1]
        if subprocess.run(["podman", *self._place, "image", "exists", BASE]).returncode:
            self._make_base()
        return BASE

    def _make_base(self) -> None:
        tree, page = self.folder / "debian", self.folder / "debian.tar"
        said("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tree))
        leave_out = [f"--exclude=./{path}" for path in SLIM]
        said("tar", "-C", str(tree), *leave_out, "-cf", str(page), ".")
        self.podman("import", str(page), BASE)
        page.unlink()

    def build(self, target: str, base: str) -> float:
        """Seconds it took. What it says is in a file beside the store."""
        settings, folders = pip_settings()
        conf = self.folder / "pip.conf"
        conf.write_text(settings)
        mounts = [word for path in folders for word in ("--volume", f"{path}:{path}:ro")]
        words = [
            *GENTLY, "buildah", *self._place, "bud", "--isolation", "chroot", "--format", "docker",
            "--network", "host", "--target", target, "--build-arg", f"PYTHON_IMAGE={base}",
            "--secret", f"id=pip,src={conf}", *mounts, "-t", name_of(target), str(ROOT),
        ]  # fmt: skip
        began = time.monotonic()
        log = self.folder / f"{target}.log"
        with log.open("wb") as sink:
            done = subprocess.run(words, stdout=sink, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{target} was not built:\n{log.read_text()[-3000:]}"
        return time.monotonic() - began

    def layers(self, image: str) -> list[int]:
        """Their sizes, uncompressed; the base's come first."""
        told = json.loads(self.buildah("inspect", "--type", "image", image))
        return [layer["size"] for layer in json.loads(told["Manifest"])["layers"]]

    def configuration(self, image: str) -> dict[str, object]:
        told = json.loads(self.buildah("inspect", "--type", "image", image))
        config: dict[str, object] = told["Docker"]["config"]
        return config

    @contextmanager
    def unpacked(self, image: str) -> Iterator[Path]:
        """Its files. Nobody may change them: with this driver they are the image's own."""
        try:
            yield Path(self.podman("image", "mount", image))
        finally:
            self.podman("image", "unmount", image)

    def clear(self) -> None:
        """`rm` alone cannot: what was mounted must go first."""
        subprocess.run(["podman", *self._place, "rmi", "--all", "--force"], capture_output=True)
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.folder)])


def name_of(target: str) -> str:
    return f"localhost/seekserve:{__version__}-{target}"


def said(*words: str) -> str:
    done = subprocess.run([*GENTLY, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stderr[-3000:]}"
    return done.stdout.strip()


def pip_settings() -> tuple[str, list[str]]:
    """What pip goes by here, the environment included, as a file; and the local paths in it."""
    settings: dict[str, str] = {}
    for line in said(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section == "global" or (section == ":env:" and option):
            settings[option] = ast.literal_eval(value)
    page = "\n".join(f"{name} = {value}" for name, value in settings.items())
    words = " ".join(settings.values()).replace("file://", "").split()
    local = [word.removesuffix("/simple") for word in words if word.startswith("/")]
    return f"[global]\n{page}\n", sorted({path for path in local if Path(path).exists()})
