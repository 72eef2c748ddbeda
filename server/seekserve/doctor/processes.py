"""Looks at the engines that run as children of a server: how they were started, where they listen."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from seekserve.doctor.facts import Port, Setup
from seekserve.doctor.knocking import speaks_http

PROC = Path("/proc")
LISTENS = "0A"


def engines(server: int) -> list[Setup]:
    """A server's children are its engines; an engine's own processes are looked at with it. One that is only
    just being started has the server's own words and sockets for a moment, and is no engine yet.
    """
    parents, ours = _parents(), _words(server, "cmdline")
    children = [pid for pid, parent in parents.items() if parent == server]
    found = [pid for pid in children if _words(pid, "cmdline") != ours]
    return [_engine(number, pid, parents) for number, pid in enumerate(sorted(found))]


def _engine(number: int, pid: int, parents: Mapping[int, int]) -> Setup:
    argv = tuple(_words(pid, "cmdline"))
    env = dict(word.partition("=")[::2] for word in _words(pid, "environ"))
    model = _model(argv)
    ports = _asked({port for one in _family(pid, parents) for port in ports_of(one)})
    local = Path(model).is_dir()
    open_ = _socket_open(argv)
    known = cached(model, env)
    return Setup(f"engine-{number}", argv, env, model, local, known, pid, ports, open_)


def _asked(ports: Collection[Port]) -> tuple[Port, ...]:
    """With whether each speaks HTTP. One that does not keeps us waiting, so all are asked at once."""
    listed = sorted(ports, key=lambda port: (port.host, port.number))
    with ThreadPoolExecutor(16) as pool:
        http = pool.map(lambda port: speaks_http(port.host, port.number), listed)
        return tuple(replace(one, http=found) for one, found in zip(listed, http, strict=True))


def cached(model: str, env: Mapping[str, str]) -> bool:
    """Whether the hub's model lies in the cache that an engine with this environment uses."""
    home = env.get("HF_HOME") or str(
        Path(env.get("HOME") or "~").expanduser() / ".cache/huggingface"
    )
    hub = Path(env.get("HF_HUB_CACHE") or Path(home) / "hub")
    snapshots = hub / f"models--{model.replace('/', '--')}" / "snapshots"
    return "/" in model and snapshots.is_dir() and any(snapshots.iterdir())


def _socket_open(argv: tuple[str, ...]) -> bool:
    """Whether others may pass its folder and write to it, which is what connecting takes."""
    if "--uds" not in argv[:-1]:
        return False
    path = Path(argv[argv.index("--uds") + 1])
    try:
        return bool(path.parent.stat().st_mode & 0o011 and path.stat().st_mode & 0o022)
    except OSError:
        return False


def _model(argv: tuple[str, ...]) -> str:
    """After `serve`, or after --model."""
    for before in ("--model", "serve"):
        if before in argv[:-1]:
            return argv[argv.index(before) + 1]
    return ""


def _parents() -> dict[int, int]:
    found = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if fields[0] != "Z":
            found[int(path.parent.name)] = int(fields[1])
    return found


def _family(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    yield pid
    for child, parent in parents.items():
        if parent == pid:
            yield from _family(child, parents)


def _words(pid: int, name: str) -> list[str]:
    try:
        text = (PROC / str(pid) / name).read_bytes()
    except OSError:
        return []
    return [word.decode(errors="replace") for word in text.split(b"\0") if word]


def ports_of(pid: int) -> Iterator[Port]:
    """The TCP ports that a process listens on: its sockets, looked up in the kernel's tables."""
    held = set(_sockets(pid))
    for table in ("tcp", "tcp6"):
        try:
            rows = (PROC / str(pid) / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == LISTENS and fields[9] in held:
                yield _port(fields[1])


def _sockets(pid: int) -> Iterator[str]:
    try:
        for link in (PROC / str(pid) / "fd").iterdir():
            to = str(link.readlink())
            if to.startswith("socket:["):
                yield to[8:-1]
    except OSError:
        return


def _port(text: str) -> Port:
    """`0100007F:1F90` is 127.0.0.1:8080: words of the address in the machine's own order."""
    words, _, number = text.partition(":")
    raw = bytes.fromhex(words)
    turned = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    address = ipaddress.ip_address(turned)
    mapped = getattr(address, "ipv4_mapped", None) or address
    host = socket.inet_ntop(socket.AF_INET6 if len(turned) == 16 else socket.AF_INET, turned)
    port = int(number, 16)
    return Port(host, port, mapped.is_loopback)
