"""Log events and requests that went wrong -> what is said of them, in a sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from seekserve.gateway.record import Trace
from seekserve.log import Fact

MOST_WORDS = 200
LOUD = ("defect", "ledger_lost", "key_file_failed", "certificate_failed")
WARNS = (
    "closed",
    "connections_capped",
    "connections_full",
    "keys_of_unknown_class",
    "ledger_stuck",
    "ledger_unwritable",
    "model_moved",
    "model_not_kept",
    "spans_lost",
    "spans_off",
)
QUIET = ("request",)
KEYS = ("closed", "key_file_failed", "keys_of_unknown_class", "keys_read")
SENTENCES = {"closed": "the API is closed", "keys_read": "the key file was read"}
UNNAMED = ("cause", "todo", "why")
"""Facts that are sentences of their own."""
PRIVATE = re.compile(r"(engine\.[^:;]*(?:env\.|key|secret|password)[^:;]*): [^;]*", re.IGNORECASE)
"""Settings that a tier's author may have written a secret into, in what a reload says of its changes."""

Facts = dict[str, Fact]


class Said(NamedTuple):
    kind: str
    level: str
    words: str
    request: str | None = None
    engine: str | None = None
    key: str | None = None


def of_log(name: str, facts: Facts) -> Said | None:
    """None for what is told in another way: a request that is over tells more than its line."""
    if name in QUIET:
        return None
    if name in ("engine", "waiting", "plan"):
        return _of_engine(name, facts)
    if name == "ops":
        return _of_operators(facts)
    if name == "node":
        where = _plain(facts.get("address"))
        level = "warn" if facts.get("cause") else "info"
        return Said("engine", level, _cut(f"node {where}: {_rest(facts, 'address')}"))
    kind = "keys" if name in KEYS else "server"
    level = "error" if name in LOUD else "warn" if name in WARNS else "info"
    request = str(facts["id"]) if name == "defect" and facts.get("id") else None
    return Said(kind, level, _cut(f"{_titled(name)}: {_rest(facts, 'id')}"), request)


def of_request(trace: Trace) -> Iterator[Said]:
    """What became of it, and what it went through on the way."""
    whose = (trace.id, trace.engine or None, trace.key or None)
    where = f"{trace.route}{f', {trace.model}' if trace.model else ''}"
    if trace.continued:
        yield Said(
            "continued", "warn", f"went on elsewhere after its engine was lost ({where})", *whose
        )
    if trace.again:
        yield Said(
            "again",
            "warn",
            f"asked anew before its first token, its engine was lost ({where})",
            *whose,
        )
    if not trace.reason:
        return
    if trace.status < 400:
        yield Said("broken", "error", f"{trace.reason}: broke off in its answer ({where})", *whose)
    elif trace.status >= 500 and trace.status != 503:
        yield Said("broken", "error", f"{trace.reason}: {trace.status} ({where})", *whose)
    else:
        of = f", class {trace.key_class}" if trace.key_class else ""
        words = f"{trace.reason}: {trace.status} ({where}{of})"
        yield Said("refused", "warn", words, *whose)


def _of_engine(name: str, facts: Facts) -> Said:
    engine, cause = _plain(facts.get("name")), facts.get("cause")
    if name == "plan":
        words = f"{_plain(facts.get('of'))}: planned {_plain(facts.get('planned'))}, came to "
        words += f"{_plain(facts.get('actual'))} ({_plain(facts.get('error'))})"
        return Said("engine", "info", _cut(words), engine=engine)
    state = "waits" if name == "waiting" else _plain(facts.get("state"))
    level = "error" if state == "failed" else "warn" if cause else "info"
    return Said("engine", level, _cut(f"{state}: {cause}" if cause else state), engine=engine)


def _of_operators(facts: Facts) -> Said:
    """What somebody asked the server to do, and what came of it."""
    action, of = _plain(facts.get("action")), _plain(facts.get("of"))
    failed = facts.get("failed")
    came = f"failed: {failed}" if failed else _plain(facts.get("changed") or "done")
    came = PRIVATE.sub(r"\1: changed", came)
    level = "error" if failed else "info"
    if action.startswith("keys"):
        return Said("keys", level, _cut(f"{action.removeprefix('keys ')} {of}"), key=of or None)
    if action == "restart":
        return Said("engine", level, _cut(f"restart asked for: {came}"), engine=of or None)
    return Said("reload" if action == "reload" else "server", level, _cut(f"{action}: {came}"))


def _titled(name: str) -> str:
    return SENTENCES.get(name, name.replace("_", " "))


def _rest(facts: Facts, but: str) -> str:
    told = (
        _plain(value) if key in UNNAMED else f"{key} {_plain(value)}"
        for key, value in facts.items()
        if key != but
    )
    return ", ".join(told) or "done"


def _plain(value: Fact) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _cut(words: str) -> str:
    """One line that can be shown."""
    line = "".join(c if c.isprintable() else " " for c in words)
    return line if len(line) <= MOST_WORDS else line[: MOST_WORDS - 3] + "..."
