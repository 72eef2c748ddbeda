"""The server's certificate: read at the start, and again whenever its files change.

Each connection takes the certificate in force when it comes, so that a new one disturbs none. Files that
do not fit leave the old one in force, and the log says why.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, Self

from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.metrics import Reading
from seekserve.settings import Listen

LOOK_S = 2.0
VERSION, VALIDITY, UTC_TIME = 0xA0, 3, 0x17  # of X.509's DER (RFC 5280): tag, place, tag
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
Stamp = tuple[tuple[int, int, int] | None, ...]


class Certificate:
    """Alone writes `context`. Inside its `async with` the files are watched. Raises ConfigError for
    files that cannot be used now.
    """

    def __init__(self, cert: Path, key: Path, log: Log, look_s: float = LOOK_S) -> None:
        self._cert, self._key, self._log, self._look_s = cert, key, log, look_s
        self._stamp, self._fault = _stamp(cert, key), ""
        self.context = read(cert, key)
        self._ends = ends_at(cert)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def renew(self) -> bool:
        """Reads the files again, changed or not; whether what they hold is in force now."""
        self._stamp = _stamp(self._cert, self._key)
        try:
            self.context = read(self._cert, self._key)
        except ConfigError as error:
            if error.message != self._fault:
                self._log.event("certificate_failed", why=error.message, in_force="the one before")
            self._fault = error.message
            return False
        self._fault, self._ends = "", ends_at(self._cert)
        self._log.event("certificate_read", file=self._cert.name)
        return True

    def gauges(self) -> list[Reading]:
        ends = [] if self._ends is None else [((), self._ends)]
        return [
            (
                "certificate_expires_timestamp_seconds",
                "When the certificate in force ends (Unix time).",
                (),
                ends,
            ),
            (
                "certificate_failing",
                "1 while new certificate files do not fit and the certificate before them stays in force.",
                (),
                [((), float(bool(self._fault)))],
            ),
        ]

    async def _watch(self) -> None:
        """A file that failed is tried again: its neighbour may have been written later."""
        while True:
            await asyncio.sleep(self._look_s)
            if self._fault or _stamp(self._cert, self._key) != self._stamp:
                self.renew()


def certificate(listen: Listen, log: Log) -> Certificate | None:
    """The certificate that the settings name, if any. Raises ConfigError."""
    if listen.tls_cert is None or listen.tls_key is None:
        return None
    return Certificate(listen.tls_cert, listen.tls_key, log)


def read(cert: Path, key: Path) -> ssl.SSLContext:
    """What a server needs for TLS 1.2 and later. Raises ConfigError, which names the file at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _readable(cert, "certificate", "--tls-cert")
    _readable(key, "key", "--tls-key")
    try:
        context.load_cert_chain(cert, key, password=_locked)
    except ssl.SSLError as error:
        raise _unfit(cert, key, error) from error
    except OSError as error:  # changed since it was readable
        raise ConfigError(f"Cannot read {cert} and {key}: {error.strerror}.") from error
    return context


def ends_at(cert: Path) -> float | None:
    """When the first certificate of a file ends (Unix time), which is the server's own; None where that
    cannot be read. ssl tells it only of a certificate that somebody presented, and that had not ended.
    """
    try:
        found = _PEM.search(cert.read_bytes())
        der = base64.b64decode(found[1]) if found else b""
        whole = _parts(_parts(der)[0][1])  # signed part, algorithm, signature
        fields = [part for part in _parts(whole[0][1]) if part[0] != VERSION]
        (tag, text) = _parts(fields[VALIDITY][1])[1]  # not before, not after
        form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(text.decode(), form).replace(tzinfo=UTC).timestamp()
    except (OSError, IndexError, ValueError):
        return None


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """The values that stand in a row: tag and content of each (X.690, definite lengths)."""
    parts, at = [], 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size > 127:
            more = size - 128
            size, at = int.from_bytes(der[at : at + more]), at + more
        parts.append((tag, der[at : at + size]))
        at += size
    return parts


def _readable(path: Path, what: str, flag: str) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {what} file {path}.", f"Name the right one: {flag} FILE."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"Cannot read the {what} file {path}: {error.strerror}.",
            "Let the user that runs seekserve read it.",
        ) from error


def _unfit(cert: Path, key: Path, error: ssl.SSLError) -> ConfigError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return ConfigError(
            f"The key {key} does not belong to the certificate {cert}.",
            "Give the two that were made together; the server's own certificate comes first in its file.",
        )
    why = f" ({error.reason})" if error.reason else ""
    return ConfigError(
        f"{cert} and {key} are not a certificate and its key in PEM form{why}.",
        "Such files begin with -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----.",
    )


def _locked() -> NoReturn:
    raise ConfigError(
        "The key is locked with a passphrase, and nobody is there to type it at a restart.",
        "Unlock it (openssl pkey -in KEY -out FILE) and guard the file: chmod 600 FILE.",
    )


def _stamp(*paths: Path) -> Stamp:
    return tuple(_stamp_of(path) for path in paths)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # follows links, which is how certbot and Kubernetes renew
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
