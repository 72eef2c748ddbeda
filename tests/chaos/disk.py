"""The disk that the ledger lies on, and how it comes to be full.

Where we may mount one it is a small tmpfs, filled to its last byte. Elsewhere the server's own limit on the
size of files (RLIMIT_FSIZE) is taken down to nothing, which any user can do to a process of his: each
write then fails as well, with another errno.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SIZE = "48m"
BALLAST = "ballast"
ENDLESS = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@dataclass
class Disk:
    """`process` is the server's, once there is one."""

    folder: Path
    mounted: bool
    process: int = 0

    @property
    def how(self) -> str:
        return f"a tmpfs of {SIZE} filled up" if self.mounted else "RLIMIT_FSIZE of the server at 0"

    def fill(self) -> None:
        if not self.mounted:
            resource.prlimit(self.process, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with (self.folder / BALLAST).open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def clear(self) -> None:
        if self.mounted:
            (self.folder / BALLAST).unlink(missing_ok=True)
        elif self.process:
            with suppress(ProcessLookupError):
                resource.prlimit(self.process, resource.RLIMIT_FSIZE, ENDLESS)


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """A state folder on it."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True)
