"""Checks of the state folder: whose it is, and who else may read or change what is in it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from seekserve.doctor.facts import Entry, StateFolder
from seekserve.doctor.findings import Finding, bad, else_ok, warn

OTHERS_WRITE, OTHERS_PASS, OTHERS_AT_ALL = 0o022, 0o011, 0o077
SECRET = ("keys.json", "keys.new")
WHAT = {
    "ledger": "who asked for how much",
    "logs": "the engine's words",
    "ops": "the server's controls",
}


def check(folder: StateFolder) -> Iterator[Finding]:
    count = len(folder.entries)
    said = f"{folder.path} and the {count - 1} things in it are their owner's alone."
    yield from else_ok(_found(folder), "files", said)


def _found(folder: StateFolder) -> Iterator[Finding]:
    for above in folder.parents_open:
        yield bad(
            "files",
            f"Anybody may put another folder in the place of {folder.path}: {above} is open to all.",
            f"chmod o-w {shlex.quote(above)}, or keep the state elsewhere (SEEKSERVE_STATE_DIR).",
        )
    for entry in folder.entries:
        yield from _owner(folder, entry)
        if entry.kind == "link" and entry.name:
            yield warn(
                "files",
                f"{_path(folder, entry)} is a link: what it leads to was not looked at.",
                "Put the thing itself there.",
            )
        elif entry.mode & OTHERS_AT_ALL and (entry.name in SECRET or not _shut_in(folder, entry)):
            yield _open(folder, entry)


def _shut_in(folder: StateFolder, entry: Entry) -> bool:
    """Whether others cannot get to it, since a folder on the way is closed."""
    on_the_way = {"", *(entry.name[: at.start()] for at in re.finditer("/", entry.name))}
    return any(
        one.name in on_the_way and one.name != entry.name and not one.mode & OTHERS_PASS
        for one in folder.entries
        if one.kind == "folder"
    )


def _owner(folder: StateFolder, entry: Entry) -> Iterator[Finding]:
    if entry.uid not in (folder.uid, 0):
        path = _path(folder, entry)
        yield bad(
            "files",
            f"{path} belongs to another user (number {entry.uid}), who may change it.",
            f"chown {folder.uid} {shlex.quote(path)}",
        )


def _open(folder: StateFolder, entry: Entry) -> Finding:
    path, octal = _path(folder, entry), f"{entry.mode & 0o7777:04o}"
    mend = f"chmod {'700' if entry.kind == 'folder' else '600'} {shlex.quote(path)}"
    if entry.mode & OTHERS_WRITE or entry.name in SECRET or entry.kind == "socket":
        return bad("files", f"{path} is open to other users (mode {octal}).", mend)
    what = next((w for start, w in WHAT.items() if entry.name.startswith(start)), "what is in it")
    return warn("files", f"Other users may read {path} (mode {octal}): {what}.", mend)


def _path(folder: StateFolder, entry: Entry) -> str:
    return f"{folder.path}/{entry.name}" if entry.name else folder.path
