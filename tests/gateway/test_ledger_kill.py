"""kill -9 of the gateway in mid-load: what was answered a second before is in the ledger, once.

SEEKSERVE_KILLS says how often; `python -m tests.bench.ledger_kills 20` shows the figures.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench.ledger_kills import kills
from tests.support import FakeEngine

KILLS = int(os.environ.get("SEEKSERVE_KILLS", "3"))


async def test_nothing_answered_is_missing_or_doubled(engine: FakeEngine, tmp_path: Path) -> None:
    found = await kills(tmp_path, engine.url, KILLS)
    assert all(one.due > 50 for one in found), "there was too little load to show anything"
    assert [one for one in found if one.missing or one.doubled] == []
