"""`chat`: a conversation with a server's model, at a prompt or as one question and its answer."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seekserve import opsdoor, secretfiles
from seekserve.config import state_folder
from seekserve.errors import ConfigError
from seekserve.printing import told
from seekserve.settings import authority

if TYPE_CHECKING:
    from seekserve.terminal.asking import Site
    from seekserve.terminal.telling import Plainly
    from seekserve.terminal.wishes import Wishes

URL = "http://127.0.0.1:8000"
HISTORY = "chat_history"
MOST_STDIN = 8 << 20
STOPPED = 130  # as shells have it for Ctrl-C


def chat(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help=f"As http://HOST:PORT. Default: the server of this state folder, else {URL}.",
        ),
    ] = "",
    question: Annotated[
        str, typer.Option("-q", "--question", help="Ask this, print the answer, and end.")
    ] = "",
    model: Annotated[str, typer.Option(help="Default: the first that the server lists.")] = "",
    system: Annotated[str, typer.Option(help="What the model is told before everything.")] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the API key alone in it. Else SEEKSERVE_API_KEY or SEEKSERVE_API_KEY_FILE.",
        ),
    ] = None,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Keep no questions in the state folder.")
    ] = False,
) -> None:
    """Talk to a model: its thinking dim and folded, its answer as it comes, and what it took.

    \b
      seekserve chat                      at a prompt; /help lists what it knows, Ctrl-C stops an answer
      seekserve chat -q "17 + 25?"        one question; so does what is piped in
      seekserve chat http://10.0.0.5:8000 --key-file key

    Exit codes: 0 ended as asked, 1 the server refused, broke off or is not there, 2 settings
    that cannot work.
    """
    from seekserve.terminal import asking
    from seekserve.terminal.wishes import Wishes

    for ending in (signal.SIGTERM, signal.SIGHUP):  # the terminal is given back as it was
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        with told():
            at = asking.site(
                url or _own(state_folder()), secretfiles.chosen(secretfiles.API_KEY, key_file)
            )
            wants = Wishes(model=model, system=system)
            if not question and sys.stdin.isatty() and sys.stdout.isatty():
                _converse(at, wants, None if no_history else state_folder() / HISTORY)
            else:
                _answer(at, wants, question or _piped())
    except KeyboardInterrupt:
        raise typer.Exit(STOPPED) from None


def _own(folder: Path) -> str:
    """Where the server of this folder listens: a person who started it need not know its port."""
    for door in opsdoor.living(folder):
        api = opsdoor.ask(door, "GET", "/server").page["api"]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(api["host"], api["host"])  # noqa: S104
        return f"http{'s' if api['tls'] else ''}://{authority(host, api['port'])}"
    return URL


def _converse(at: Site, wants: Wishes, history: Path | None) -> None:
    from seekserve.terminal.lines import History
    from seekserve.terminal.repl import Chat

    Chat(at, wants, _screen(), History(history)).run()


def _answer(at: Site, wants: Wishes, question: str) -> None:
    from seekserve.terminal.repl import once

    once(at, wants, _screen(), question)


def _screen() -> Plainly:
    """What the terminal's characters cannot say is a question mark."""
    from seekserve.terminal.telling import screen

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return screen(sys.stdout)


def _piped() -> str:
    text = b"" if sys.stdin.isatty() else sys.stdin.buffer.read(MOST_STDIN + 1)
    if len(text) > MOST_STDIN:
        raise ConfigError(f"What is piped in is over {MOST_STDIN >> 20} MiB.", "Ask for less.")
    if not text.strip():
        raise ConfigError("Nothing was asked.", 'Say it: seekserve chat -q "17 + 25?"')
    return text.decode(errors="replace").strip()
