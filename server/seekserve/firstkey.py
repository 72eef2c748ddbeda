"""`serve --first-key`: the key of a server that has none, made once it is sure to start.

A key that was printed by a start that failed would stand in a log that a container's next start replaces.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from seekserve.errors import ConfigError
from seekserve.gateway import keyfile
from seekserve.gateway.keychanges import Keys
from seekserve.gateway.keys import Key, mint, new_id

NAME = "first"


class FirstKey:
    """Due where it is wanted and there is no key yet, of whatever state, until it was made; `say` prints it.
    Raises ConfigError when it cannot be told whether there is one.
    """

    def __init__(
        self, folder: Path, wanted: bool, no_auth: bool, say: Callable[[str], None]
    ) -> None:
        if wanted and no_auth:
            raise ConfigError(
                "--first-key makes a key, and --no-auth lets everybody in without one.",
                "Leave one of them out.",
            )
        self._say = say
        self._path = folder / keyfile.NAME
        self._due = wanted and not self._stored()

    def _stored(self) -> int:
        return len(keyfile.read(self._path).keys)

    def keys(self) -> int:
        """How many keys there are, or will be once the server starts."""
        return self._stored() or int(self._due)

    def make(self) -> None:
        """Makes it and prints it. Two servers that start at once make one: who comes second finds it
        under the file's lock.
        """
        if not self._due:
            return
        self._due = False
        shown: list[str] = []

        def added(known: Keys) -> Keys:
            if known:
                return known
            id_ = new_id(())
            text, secret = mint(id_)
            shown.append(text)
            return (Key(id=id_, name=NAME, secrets=(secret,), created_at=datetime.now(UTC)),)

        keyfile.edit(self._path, added)
        for text in shown:
            self._say(_words(text))


def _words(text: str) -> str:
    return (
        f"The first key of this server, shown this once; only its digest is kept:\n\n  {text}\n\n"
        'Clients send it as "Authorization: Bearer KEY". Whoever reads these lines can, too: for '
        f"another text, seekserve keys rotate {NAME} --grace 0s; for more keys, seekserve keys "
        "add NAME.\n"
    )
