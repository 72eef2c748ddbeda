"""The key file: `keys.json` in the state directory, for its owner's eyes only.

Changed under a lock and replaced whole, so that whoever reads it sees all of a change or nothing, two
commands at once lose nothing, and a crash or a full disk leaves what was there.
"""

from __future__ import annotations

import collections
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from seekserve.complaints import complaints
from seekserve.errors import ConfigError
from seekserve.gateway.keys import Key
from seekserve.settings import Frozen

NAME = "keys.json"
VERSION = 1
MOST_BYTES = 64 << 20
LOCK_S = 10.0
Stamp = tuple[int, ...]
"""Changes whenever the file, its owner or its mode does; empty while there is no file."""


class Page(Frozen):
    """The file as it is written. A version above VERSION is a later program's."""

    version: int
    keys: tuple[Key, ...]


class Read(NamedTuple):
    keys: tuple[Key, ...] = ()
    stamp: Stamp = ()


def read(path: Path) -> Read:
    """What stands in the file; no keys where there is none. Raises ConfigError, never with a key."""
    try:
        with open(path, "rb", opener=_waiting_for_nobody) as file:
            found = os.fstat(file.fileno())
            _private(path, found)
            text = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Read()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the key file {path}: {error.strerror}.",
            "It must be a file of the user who runs seekserve, with mode 0600.",
        ) from error
    return Read(_parsed(path, text), _stamp(found))


def stamp(path: Path) -> Stamp:
    try:
        return _stamp(path.stat())
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (error.errno or -1,)


def edit(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    """Puts `change` of the keys in their place. Raises ConfigError and what `change` raises; then the
    file is as it was.
    """
    with _locked(path):
        _write(path, change(read(path).keys))


def _waiting_for_nobody(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _stamp(found: os.stat_result) -> Stamp:
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def _private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"The key file {path} is no plain file.", f"Move it away: {path}.")
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"The key file {path} belongs to another user (number {found.st_uid}): whoever can write "
            "to it lets in whom he likes.",
            f"If its keys are yours: chown {os.geteuid()} {path} && chmod 600 {path}",
        )
    if found.st_mode & 0o077:
        raise ConfigError(
            f"The key file {path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}).",
            f"chmod 600 {path}",
        )


def _parsed(path: Path, text: bytes) -> tuple[Key, ...]:
    try:
        told = json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, "it is not JSON") from error
    page = told if isinstance(told, dict) else {}
    version = page.get("version")
    if type(version) is not int or version < 1:
        raise _corrupt(path, "it does not begin with a version of the key file")
    if version > VERSION:
        raise ConfigError(
            f"The key file {path} was written by a newer seekserve (version {version} of the file; "
            f"this one knows up to {VERSION}).",
            "Use that seekserve again, or a newer one. Nothing was changed.",
        )
    listed = page.get("keys")
    if not isinstance(listed, list) or len(page) != len(Page.model_fields):
        raise _corrupt(path, "beside its version it must hold keys, and nothing else")
    keys = tuple(_key(path, number, one) for number, one in enumerate(listed, 1))
    for what in ("id", "name"):
        count = collections.Counter(getattr(key, what) for key in keys)
        if twice := [one for one, times in count.items() if times > 1]:
            raise _corrupt(path, f"two keys have the {what} {twice[0]}")
    return keys


def _key(path: Path, number: int, told: object) -> Key:
    """One at a time: thousands at once would keep a server that reads them from all its streams."""
    try:
        return Key.model_validate(told)
    except ValidationError as error:
        few = "\n".join(complaints(error).splitlines()[:5])
        raise _corrupt(path, f"key number {number} does not fit:\n{few}\n") from error


def _corrupt(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The key file {path} is damaged: {why}.",
        "Put a backup of it in its place, or move it away and add the keys again: "
        "seekserve keys add NAME. Nothing was changed.",
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock beside the file; the file itself is replaced, so it cannot be the lock."""
    beside = path.with_suffix(".lock")
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _wait_for(lock, path)
        yield
    finally:
        os.close(lock)


def _wait_for(lock: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"The key file {path} is locked by another seekserve keys command.",
                    "Try again once that one has ended. Nothing was changed.",
                ) from error
            time.sleep(0.02)
        except OSError as error:
            raise _unwritable(path, error) from error
        else:
            return


def _write(path: Path, keys: tuple[Key, ...]) -> None:
    """Durable before it is seen. A file left over from a crash is overwritten: we hold the lock."""
    page = Page(version=VERSION, keys=keys).model_dump_json(indent=1, exclude_defaults=True)
    fresh = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
            file.write(page + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _settle(path.parent)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _settle(folder: Path) -> None:
    """Makes the new name durable too."""
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"Cannot write the key file {path}: {error.strerror}. Nothing was changed.",
        f"SEEKSERVE_STATE_DIR must be a folder that user {os.geteuid()} may write to, on a disk with room; "
        "in a container, on a volume of that user's.",
    )
