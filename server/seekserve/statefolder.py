"""Where keys, the ledger and logs live. Imports nothing of ours: a health check asks it every few seconds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_path(environ: Mapping[str, str] = os.environ) -> Path:
    """SEEKSERVE_STATE_DIR, else the user's own state folder. It may not be there yet."""
    if given := environ.get("SEEKSERVE_STATE_DIR"):
        return Path(given)
    base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "seekserve"
