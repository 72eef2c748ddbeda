"""Which tests stay on one worker when pytest runs on several (`-n 2 --dist loadgroup`).

One real engine is enough for a small machine, and vLLM and torch are imported once. Everything else
goes to whichever worker is free. pytest-xdist's own groups are lost under pytest 9, so it asks here.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/e2e/": "engine",
    "tests/gateway/test_ledger_kill.py": "engine",  # it wants load, which an engine beside it takes
    "tests/console/browser/": "browser",  # one Chromium
    "tests/render/": "rendered",  # planned once
    "tests/demo/": "libraries",
    "tests/plan/test_commands.py": "libraries",
    "tests/plan/test_ladder.py": "libraries",
    "tests/test_nodes.py": "libraries",
    "tests/plan/test_templates.py": "libraries",
}


class Grouped(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """The largest groups begin, the others are handed out one by one."""

    def _split_scope(self, nodeid: str) -> str:
        groups = (group for path, group in TOGETHER.items() if nodeid.startswith(path))
        return next(groups, nodeid)
