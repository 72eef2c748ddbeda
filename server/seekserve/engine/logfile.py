"""An engine's own words on disk, mode 0600. A full one turns over; a full disk costs lines alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

KEPT_LOGS = 5
MAX_LOG = 32 * 1024 * 1024


class LogFile:
    """Older generations are kept, so that restarts do not carry off what the first death said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        if self.path.exists() and self.path.stat().st_size:
            names = [self.path, *(Path(f"{self.path}.{n}") for n in range(1, KEPT_LOGS + 1))]
            for older, newer in reversed(list(zip(names[1:], names, strict=False))):
                if newer.exists():
                    newer.replace(older)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._size = 0

    def write(self, data: bytes) -> None:
        """Never raises: a full disk costs log lines, not the engine, which would block on its pipe."""
        self._size += len(data)
        with contextlib.suppress(OSError):
            self._file.write(data)
            if self._size > MAX_LOG:
                full = self._file
                self._open()
                full.close()

    def close(self) -> None:
        self._file.close()
