"""Where the nodes of one engine meet, and the secret that they share: read and checked."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from pydantic import SecretStr

from seekserve.errors import ConfigError
from seekserve.secretfiles import NODE_TOKEN, take
from seekserve.settings import Listen, Tier

PORT = 29540
SHORTEST = 16
MAKE = (
    f"Make one (openssl rand -hex 32) and set it as {NODE_TOKEN} on every node, the head included."
)


def take_token() -> SecretStr | None:
    """From its variable, or the file that its twin names. Raises ConfigError where that cannot be used."""
    said = take(NODE_TOKEN)
    return SecretStr(said.strip()) if said else None  # the same text in a variable as from a file


def checked_token(token: SecretStr | None) -> SecretStr:
    """Raises ConfigError without one that cannot be guessed."""
    if token is None:
        raise ConfigError(
            f"{NODE_TOKEN} is not set: without it anybody on the network could pass for a node.",
            MAKE,
        )
    if (length := len(token.get_secret_value())) < SHORTEST:
        raise ConfigError(f"{NODE_TOKEN} has {length} characters, which can be guessed.", MAKE)
    return token


def place(text: str) -> Listen:
    """From HOST[:PORT], a name looked up. Raises ConfigError."""
    host, port = _split(text)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{host} is no address that is known here.",
            "Give the head's own address on the nodes' private network, such as 10.0.0.1.",
        ) from error
    address = str(found[0][4][0])
    if host not in (address, "localhost") and Listen(host=address).loopback:
        raise ConfigError(
            f"{host} is {address} here, which other nodes cannot reach.",
            "Give the address itself, such as 10.0.0.1, or mend /etc/hosts.",
        )
    return Listen(host=address, port=port)


def _split(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, colon, port = text, "", str(PORT)
    elif not colon or (":" in host and not host.startswith("[")):
        host, port = text, str(PORT)  # without a port; or an IPv6 address without its brackets
    host = host.strip("[]")
    if not host or len(host) > 255 or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(
            f"{text[:80]!r} is not of the form HOST[:PORT].", f"Write it as 10.0.0.1:{PORT}."
        )
    return host, int(port)


def checked(
    tier: Tier, attach: Sequence[str], cluster: Listen | None, token: SecretStr | None
) -> None:
    """Whether the head's settings can be. Raises ConfigError."""
    if tier.nodes == 1:
        if cluster:
            raise ConfigError(
                "--cluster is for an engine of several nodes, and this one has one.",
                "Add --nodes N (this node counts), or leave --cluster out.",
            )
        return
    if attach:
        raise ConfigError(
            f"{tier.nodes} nodes are asked for, and --engine names an engine that already runs.",
            "Leave --nodes (or the tier's nodes) out: that engine has its own.",
        )
    if tier.engines > 1:
        raise ConfigError(
            f"The tier asks for {tier.engines} engines and for {tier.nodes} nodes: several nodes carry one "
            "engine.",
            "Set engines to 1; or start one server for each engine, and one before them with --engine.",
        )
    if cluster is None:
        raise ConfigError(
            f"{tier.nodes} nodes are asked for, and nothing says where the others join.",
            "Add --cluster HOST[:PORT]: this node's own address on the nodes' private network.",
        )
    if ipaddress.ip_address(cluster.host.partition("%")[0]).is_unspecified:
        raise ConfigError(
            f"--cluster {cluster.host} is every address of this machine, and others need one.",
            "Give this node's own address on the nodes' private network, such as 10.0.0.1.",
        )
    checked_token(token)
