"""Checks of what listens: the server's doors, its engines' ports, and engines it was attached to. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from seekserve.doctor.facts import Attachment, Door, Reply, Server, Setup
from seekserve.doctor.findings import Finding, bad, else_ok, ok, warn

CLIENTS = (("GET", "/v1/models"), ("GET", "/docs"), ("GET", "/openapi.json"))
OPERATORS = (
    ("GET", "/metrics"),
    ("GET", "/version"),
    ("GET", "/server"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("POST", "/reload"),
    ("POST", "/console/api/keys"),
)
LOOKS = (("GET", "/console/api/state"), ("GET", "/console/api/keys"))
"""What this machine may look at while no key is needed."""
ENGINES = (("POST", "/tokenize"), ("GET", "/server_info"), ("GET", "/load"), ("GET", "/ping"))
CONFUSED = (("GET", "//health/live"), ("GET", "/health/live/../../v1/models"))
"""Paths that a careless check takes for an open one."""
OPENED = (*range(200, 300), 422)
"""422: the route is there, and only the body did not please."""
KNOCKS = (*CLIENTS, *OPERATORS, *LOOKS, *ENGINES, *CONFUSED)


def server(found: Server) -> Iterator[Finding]:
    yield from _api(found.api)
    yield from else_ok(
        _replies(found), "routes", f"{len(found.replies)} requests without a key opened nothing."
    )
    if found.scrape:
        yield from _scrape(found.scrape)
    if found.cluster:
        yield from _cluster(found.cluster)
    for engine in found.engines:
        yield from _engine(engine)
    for attached in found.attached:
        yield from _attached(attached)


def _api(door: Door) -> Iterator[Finding]:
    where = f"{door.host}:{door.port}"
    if door.key_open:
        yield bad(
            "doors",
            f"Other users may read the TLS key {door.key_open}: they can pass for this server.",
            f"chmod 600 {shlex.quote(door.key_open)}, and get a new certificate if any did.",
        )
    if door.loopback:
        yield ok("doors", f"The API listens on {where}, which only this machine reaches.")
        return
    if not door.closed:
        yield bad(
            "doors",
            f"The API on {where} serves everybody who reaches it: --no-auth.",
            "Make keys (seekserve keys add NAME) and start it without --no-auth, or bind it to 127.0.0.1.",
        )
    if not door.tls:
        yield warn(
            "doors",
            f"The API on {where} has no TLS: keys and prompts can be read on the way, unless a proxy "
            "that ends TLS is the only one who reaches it.",
            "Give --tls-cert and --tls-key, or bind it to 127.0.0.1 behind nginx or Caddy.",
        )
    if door.closed and door.tls:
        yield ok("doors", f"The API on {where} wants a key, and has TLS.")


def _replies(found: Server) -> Iterator[Finding]:
    if not found.replies:
        yield warn(
            "routes",
            f"Nothing answered on {found.api.host}:{found.api.port}, so no route was tried.",
            "See the server's log; if it hangs, stop it and start it again.",
        )
    for reply in found.replies:
        if reply.status in OPENED and not _meant(reply, found.api):
            yield bad(
                "routes",
                f"{reply.method} {reply.path} without a key is answered {reply.status}.",
                "Whatever answers on that port is not this version of seekserve, or something in front "
                "of it adds a key: take it out, or stop the server until you know.",
            )


def _meant(reply: Reply, api: Door) -> bool:
    asked = (reply.method, reply.path)
    return not api.closed and (asked in CLIENTS or (api.loopback and asked in LOOKS))


def _scrape(door: Door) -> Iterator[Finding]:
    where = f"{door.host}:{door.port}"
    if door.loopback:
        yield ok("doors", f"Scrapes are answered on {where}, which only this machine reaches.")
    elif not door.closed:
        yield bad(
            "doors",
            f"Anybody who reaches {where} reads the metrics.",
            "Set SEEKSERVE_OPS_TOKEN, or bind --ops to 127.0.0.1.",
        )
    else:
        yield warn(
            "doors",
            f"Scrapes on {where} send their token without TLS.",
            "Let only Prometheus reach that port, over a network of its own.",
        )


def _cluster(door: Door) -> Iterator[Finding]:
    """It is never without a token, which the server does not start without."""
    where = f"Nodes join on {door.host}:{door.port}, with a token"
    if door.loopback:
        yield ok("doors", f"{where}; only this machine reaches it.")
        return
    yield warn(
        "doors",
        f"{where}. What their engines then say to each other has no key and no encryption: whoever reaches "
        "those ports can read prompts and run code on the nodes.",
        "Give the nodes a network of their own, or a firewall that lets only them reach each other.",
    )


def _engine(engine: Setup) -> Iterator[Finding]:
    said = f"{engine.name} (pid {engine.pid}) has its private socket, and no TCP port for others"
    if own := sum(port.loopback for port in engine.ports):
        said += f"; {own} on loopback are for its own traffic"
    yield from else_ok(_ports(engine), "engines", f"{said}.")


def _ports(engine: Setup) -> Iterator[Finding]:
    if engine.socket_open:
        yield bad(
            "engines",
            f"Other users of this machine may open the socket of {engine.name} (pid {engine.pid}).",
            "Something changed the mode of its folder in TMPDIR: restart the server, and find out what.",
        )
    for port in engine.ports:
        where = f"{engine.name} (pid {engine.pid}) listens on {port.host}:{port.number}"
        if port.http:
            yield bad(
                "engines",
                f"{where} and answers HTTP: its API can be used past the keys and limits here.",
                "Take --host and --port out of the tier's engine.args: it needs its Unix socket alone.",
            )
        elif not port.loopback:
            yield warn(
                "engines",
                f"{where} for its own traffic, which trusts whoever connects.",
                "Let only the nodes of this engine reach it: a firewall, or a network of their own.",
            )


def _attached(engine: Attachment) -> Iterator[Finding]:
    if engine.unix:
        yield ok("engines", f"{engine.url} is a Unix socket.")
        return
    if not engine.loopback:
        yield warn(
            "engines",
            f"{engine.url} is reached without TLS: prompts and answers can be read on the way.",
            "Put it on a network that nobody else is on, or next to this server on a Unix socket.",
        )
    if engine.models_status == 200:
        found = bad if not engine.loopback else warn
        yield found(
            "engines",
            f"{engine.url} answers without a key: whoever reaches it uses it past the keys and limits here.",
            "Start it with --api-key and give that as SEEKSERVE_ENGINE_API_KEY; that guards only some "
            "of its routes, so let nobody but this server reach its port (or use --uds).",
        )
    if engine.dev_status == 200:
        yield bad(
            "engines",
            f"{engine.url} runs in development mode: anybody who reaches it can put it to sleep or reset it.",
            "Start it without VLLM_SERVER_DEV_MODE.",
        )
