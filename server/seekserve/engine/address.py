"""Where an engine listens: a Unix socket or a TCP port. A value, parsed once."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from seekserve.errors import ConfigError
from seekserve.settings import authority


@dataclass(frozen=True, slots=True)
class Address:
    """`path` for a Unix socket, else `host` and `port`. `base` is a path prefix such as /v1's parent."""

    path: str = ""
    host: str = "localhost"
    port: int = 80
    base: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """From `unix:/run/x.sock`, `unix:///run/x.sock` or `http://host:port[/base]`.

        A trailing `/v1` is dropped, since that is how people copy base URLs. Raises ConfigError.
        """
        if url.startswith("unix:"):
            return cls(path=_socket_path(url))
        try:
            parts = urlsplit(url)
            port = parts.port or 80
            (parts.hostname or "").encode("idna")
        except ValueError as error:
            raise ConfigError(f"--engine {url}: {error}.") from error
        if parts.username or parts.password:
            raise ConfigError(
                "--engine names a user or a password, and engines read neither.",
                "Leave it out of the URL; a key goes in SEEKSERVE_ENGINE_API_KEY.",
            )
        if not parts.hostname or parts.query:
            raise ConfigError(f"--engine {url} is not of the form http://HOST:PORT.")
        base = parts.path.rstrip("/").removesuffix("/v1")
        return cls(host=parts.hostname, port=port, base=base)

    @property
    def authority(self) -> str:
        """What goes into the Host header."""
        if self.path:
            return "localhost"
        return authority(self.host, self.port)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"http://{self.authority}{self.base}"


def _socket_path(url: str) -> str:
    path = url.removeprefix("unix:")
    path = "/" + path.lstrip("/") if path.startswith("//") else path
    if not path:
        raise ConfigError(f"--engine {url} names no socket. Write unix:/PATH/TO/SOCKET.")
    return path
