"""The facts that checks are made on, as they were found: values, gathered at the edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["file", "folder", "socket", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in the state folder, or the folder itself (its name is empty)."""

    name: str
    kind: Kind
    mode: int
    uid: int


@dataclass(frozen=True, slots=True)
class StateFolder:
    """`parents_open` are folders above it in which anybody may rename what he likes."""

    path: str
    uid: int
    entries: tuple[Entry, ...]
    parents_open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port that a process listens on. `http` is whether it answers as a web server would."""

    host: str
    number: int
    loopback: bool
    http: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """How an engine is started, or was: its command line and its environment. `cached` is whether the
    hub's model lies in the local cache already; `pid` is 0 for one that does not run; `socket_open` is
    whether other users may open its Unix socket.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    model: str = ""
    local: bool = False
    cached: bool = False
    pid: int = 0
    ports: tuple[Port, ...] = ()
    socket_open: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request without a key was answered."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """An engine of somebody else's: what it answers to a request without a key (0: nothing)."""

    url: str
    unix: bool
    loopback: bool
    models_status: int = 0
    dev_status: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a listener of the server's is, and who needs what to pass. `key_open` is the path of its
    TLS key, where other users may read that.
    """

    host: str
    port: int
    loopback: bool
    tls: bool
    closed: bool
    key_open: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs with this state folder. `cluster` is where other nodes join it."""

    pid: int
    version: str
    tier: str
    api: Door
    scrape: Door | None = None
    replies: tuple[Reply, ...] = ()
    engines: tuple[Setup, ...] = ()
    attached: tuple[Attachment, ...] = ()
    cluster: Door | None = None


@dataclass(frozen=True, slots=True)
class Startup:
    """A .pth file of site-packages that runs code whenever Python starts, and who brought it."""

    name: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    versions: Mapping[str, str]
    startups: tuple[Startup, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """`descriptors` is the limit of open files; `newest` the latest time anything in the state folder was
    written; `synchronised` what the kernel says of its clock, where it says.
    """

    descriptors: int
    free_bytes: int
    now: float
    newest: float = 0.0
    synchronised: bool | None = None
    env: Mapping[str, str] = field(default_factory=dict)
