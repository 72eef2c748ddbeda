"""Who may import whom (design/house.md), which library has which door, and what nothing is called."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "server" / "seekserve"
FILES = sorted(p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0] != "demo")
LEAVES = {
    "binding",
    "config",
    "defects",
    "settings",
    "manner",
    "complaints",
    "errors",
    "log",
    "meeting",
    "metrics",
    "secretfiles",
    "statefolder",
    "",
}  # "" is the package itself: its version
MAY = {
    "cli": {
        "serving",
        "verbs",
        "plan",
        "screen",
        "usageverbs",
        "firstkey",
        "keyverbs",
        "opsverbs",
        "healthverbs",
        "joinverbs",
        "renderverb",
        "chatverb",
        "consoleverb",
        "topverb",
    },
    "chatverb": {"opsdoor", "printing", "terminal"},
    "consoleverb": {"opsdoor", "printing"},
    "topverb": {"opsdoor", "printing", "terminal"},
    "terminal": set(),
    "joinverbs": {"noding", "screen"},
    "noding": {"engine", "plan"},
    "renderverb": {"plan", "printing", "render"},
    "render": {"plan"},
    "serving": {
        "app",
        "choosing",
        "engine",
        "gateway",
        "listener",
        "opslistener",
        "pins",
        "renewing",
        "screen",
        "tls",
    },
    "reloading": set(),
    "renewing": {"engine", "plan", "reloading"},
    "choosing": {"engine", "pins", "plan"},
    "pins": {"engine", "hub", "plan"},
    "hub": set(),
    "verbs": {"plan", "printing", "screen"},
    "usageverbs": {"gateway", "printing"},
    "keyverbs": {"gateway", "keyoptions", "keypages", "printing"},
    "keyoptions": {"gateway"},
    "firstkey": {"gateway"},
    "keypages": {"gateway"},
    "opsverbs": {"doctor", "opsdoor", "printing"},
    "healthverbs": {"engine", "printing", "readiness"},
    "readiness": {"opsdoor"},
    "shepherd": set(),
    "opslistener": {"opsdoor"},
    "opsdoor": set(),
    "opsapp": {"api", "console", "gateway"},
    "console": {"api", "engine", "gateway", "keypages", "plan"},
    "doctor": {"opsdoor", "plan"},
    "printing": {"plan", "screen"},
    "screen": {"engine"},
    "listener": {"doorway", "gateway", "tls", "wire"},
    "doorway": {"wire"},
    "wire": {"gateway"},
    "tls": set(),
    "app": {"api", "console", "gateway", "engine", "house", "opsapp", "plan", "reloading"},
    "house": {"engine", "gateway"},
    "api": {"gateway", "engine", "dialect", "keypages"},
    "gateway": {"engine"},
    "engine": {"plan"},
    "dialect": set(),
    "plan": set(),
    "__main__": {"cli", "readiness", "shepherd"},
    "": set(),
}
LEAF_MAY = {
    "binding": {"errors", "settings"},
    "defects": {"log"},
    "config": {"complaints", "errors", "meeting", "secretfiles", "settings", "statefolder"},
    "meeting": {"errors", "secretfiles", "settings"},
    "secretfiles": {"errors"},
    "statefolder": set(),
    "settings": set(),
    "manner": set(),
    "complaints": set(),
    "errors": set(),
    "log": set(),
    "metrics": {""},
}
DOORS = {
    "pydantic": {
        "config.py",
        "settings.py",
        "complaints.py",
        "api/schemas.py",
        "api/body.py",
        "api/responses.py",
        "api/embeddings.py",
        "api/openapi.py",
        "api/opskeys.py",
        "api/anthropic_schemas.py",
        "plan/catalog.py",
        "plan/facts.py",
        "gateway/keys.py",  # a key file is checked as a tier file is
        "gateway/keyfile.py",
        "keyoptions.py",
        "doctor/advisories.py",  # a shipped table is checked as the catalog is
        "meeting.py",
        "engine/protocol.py",  # what another node says is checked as a client's words are
        "engine/joining.py",
        "engine/muster.py",
        "noding.py",
    },
    "prometheus_client": {"metrics.py", "app.py", "house.py"},
    "subprocess": {"engine/process.py", "plan/detect.py"},
    "sqlite3": {"gateway/ledgerfile.py"},
    "httptools": {"gateway/connection.py"},
    "httpx": {"engine/probe.py", "terminal/asking.py"},
    "opentelemetry": {"gateway/otlp.py"},
    "yaml": {
        "config.py",
        "complaints.py",
        "plan/catalog.py",
        "doctor/advisories.py",
        "render/page.py",
    },
    "uvicorn": {"listener.py", "wire.py", "opslistener.py"},
    "ssl": {"tls.py", "doorway.py", "engine/probe.py", "doctor/knocking.py", "terminal/asking.py"},
    "typer": {
        "chatverb.py",
        "cli.py",
        "consoleverb.py",
        "healthverbs.py",
        "joinverbs.py",
        "keyverbs.py",
        "opsverbs.py",
        "printing.py",
        "renderverb.py",
        "topverb.py",
        "usageverbs.py",
        "verbs.py",
    },
}
PURE = ("asyncio", "socket", "subprocess", "httpx", "httptools", "fastapi", "starlette", "uvicorn")
BANNED = ("util", "helper", "manager", "factory", "service", "handler", "misc", "common", "base")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(path)}: imports are absolute here"
            base = node.module or ""
            deeper = base == "seekserve" or (ROOT / base.partition(".")[2]).is_dir()
            found |= {f"{base}.{a.name}" for a in node.names} if deeper else {base}
    return found


def ours(path: Path) -> set[str]:
    """The rooms and leaves of ours that a file imports."""
    words = [module.split(".") for module in imports(path) if module.startswith("seekserve")]
    return {word[1] if len(word) > 1 and not word[1].startswith("__") else "" for word in words}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_arrows(path: Path) -> None:
    here = room(path)
    allowed = LEAF_MAY[here] if here in LEAF_MAY else MAY[here] | LEAVES | {here}
    assert ours(path) <= allowed


@pytest.mark.parametrize(
    "path", [p for p in FILES if room(p) in ("plan", "dialect", "render")], ids=name
)
def test_plan_dialect_and_render_are_pure(path: Path) -> None:
    asks_tools = {"subprocess"} if name(path) == "plan/detect.py" else set()
    assert not {m.split(".")[0] for m in imports(path)} & set(PURE) - asks_tools
    planned = {"plan", ""} if room(path) == "render" else set()
    assert ours(path) <= {"config", "settings", "manner", "errors", room(path)} | planned


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library: str) -> None:
    users = {name(p) for p in FILES if library in {m.split(".")[0] for m in imports(p)}}
    users |= {
        name(p) for p in FILES if library == "subprocess" and "create_subprocess" in p.read_text()
    }
    assert users <= DOORS[library]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_names_and_sizes(path: Path) -> None:
    tree = ast.parse(path.read_text())
    classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for called in (path.stem, *classes):
        assert not [word for word in BANNED if word in called.lower()], called
    assert ast.get_docstring(tree) or path.name == "__main__.py"
    assert len(path.read_text().splitlines()) <= 260


def test_no_cancellation_is_lost() -> None:
    """asyncio.wait_for of Python 3.11 drops one that comes with the result: asyncio.timeout does not."""
    users = [path.name for path in FILES if "asyncio.wait_for(" in path.read_text()]
    assert users == []
