"""Every failure a user can cause or meet, drawn as one tree.

SeekserveError
├── StartError                 the command cannot go on: printed, then exit with its code
│   ├── ConfigError        2   a tier file, flag or variable is wrong
│   ├── PortTaken          2   somebody else listens there
│   ├── OpenToTheWorld     2   bound beyond loopback without a key
│   ├── UnknownName        2   no such model or accelerator in the catalog, or key in the key file
│   ├── LedgerUnusable     2   its file is damaged, newer, locked or not ours to write
│   ├── Impossible         2   a layout, format or flag that cannot be, whatever the memory
│   ├── Unanswered         1   a server that was asked refused, broke off or is not there
│   └── EngineFailed       3   the engine did not start, or died for good
├── NodeLost                   another node of the engine is gone, silent, or not what it says
└── Refusal                    an HTTP answer in the client's own error shape
    ├── BadRequest       400   what was sent cannot be served as it is
    ├── Unauthenticated  401   no key, or not one of ours
    ├── BudgetSpent      402   the key has spent its monthly budget
    ├── Forbidden        403   a browser page from elsewhere, or a foreign Host
    ├── NotFound         404   no such model or route
    ├── MethodNotAllowed 405   the route is served, but not by this method
    ├── SlowBody         408   the request's body did not arrive in time
    ├── TooLarge         413   the body is over the cap
    ├── RateLimited      429   more than this key may have in a minute, or at once
    ├── ClientLeft       499   the client hung up while it was sending
    ├── QueueFull        503   more would wait than can be served in time
    ├── EngineNotReady   503   starting, restarting or gone: says the stage
    ├── Stopping         503   the server is on its way out
    ├── EngineBroke      502   the engine's answer could not be used
    │   ├── EngineLost   502   it does not accept a connection, or ended it: it may have died
    │   │   └── HungUp   502   an idle connection was closed before it answered: sent once more
    │   ├── EngineFull   503   it takes no more: sent to another, where there is one
    │   └── NotTakenUp   502   what another began cannot go on, here or elsewhere
    └── Internal         500   a defect of ours: its place is in the log, its details nowhere

A `Refusal` says what happened, with the numbers, and what to do next. `retry_after_s` becomes a
header and never exceeds 60 s: the OpenAI SDKs do not retry at all above 120 s, Claude Code above 60.
"""

from __future__ import annotations

import json
import math

MAX_RETRY_AFTER_S = 60.0


def counted(count: int, what: str) -> str:
    """`1 request`, `3 requests`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


class SeekserveError(Exception):
    """The root: catch this and nothing broader."""


class StartError(SeekserveError):
    exit_code = 1

    def __init__(self, message: str, todo: str = "") -> None:
        super().__init__(message)
        self.message, self.todo = message, todo

    def told(self) -> dict[str, dict[str, str]]:
        """For programs, as `--json` prints it and the ops socket answers."""
        return {"error": {"message": self.message, "todo": self.todo}}


class ConfigError(StartError):
    exit_code = 2


class PortTaken(StartError):
    exit_code = 2


class OpenToTheWorld(StartError):
    exit_code = 2


class UnknownName(StartError):
    exit_code = 2


class LedgerUnusable(StartError):
    exit_code = 2


class Impossible(StartError):
    exit_code = 2


class Unanswered(StartError):
    """`status` is what the server refused with, 0 where it did not answer so far."""

    def __init__(self, message: str, todo: str = "", status: int = 0) -> None:
        super().__init__(message, todo)
        self.status = status


class EngineFailed(StartError):
    exit_code = 3


class NodeLost(SeekserveError):
    """Says what is wrong with the other end, as the end of a sentence that names it."""


class Refusal(SeekserveError):
    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.param = message, param
        self.code = code or self.code
        self.retry_after_s = retry_after_s

    def envelope(self) -> bytes:
        """The OpenAI error shape, as JSON bytes."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return json.dumps({"error": error}, ensure_ascii=False).encode(errors="replace")

    def headers(self, length: int | None = None) -> list[tuple[bytes, bytes]]:
        """Response headers that go with the envelope, or with another body of `length` bytes."""
        length = len(self.envelope()) if length is None else length
        lines = [
            (b"content-type", b"application/json"),
            (b"content-length", str(length).encode()),
        ]
        if self.retry_after_s is not None:
            seconds = min(MAX_RETRY_AFTER_S, max(1.0, self.retry_after_s))
            lines.append((b"retry-after", str(math.ceil(seconds)).encode()))
        if self.status == 401:
            lines.append((b"www-authenticate", b"Bearer"))
        return lines


class BadRequest(Refusal):
    status, type, code = 400, "invalid_request_error", "invalid_request"


class Unauthenticated(Refusal):
    status, type, code = 401, "authentication_error", "invalid_api_key"


class BudgetSpent(Refusal):
    status, type, code = 402, "insufficient_quota", "insufficient_quota"


class Forbidden(Refusal):
    status, type, code = 403, "permission_error", "forbidden"


class NotFound(Refusal):
    status, type, code = 404, "invalid_request_error", "not_found"


class MethodNotAllowed(Refusal):
    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class SlowBody(Refusal):
    status, type, code = 408, "invalid_request_error", "request_timeout"


class TooLarge(Refusal):
    status, type, code = 413, "invalid_request_error", "request_too_large"


class RateLimited(Refusal):
    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class ClientLeft(Refusal):
    status, type, code = 499, "invalid_request_error", "client_gone"


class QueueFull(Refusal):
    status, type, code = 503, "overloaded_error", "queue_full"


class EngineNotReady(Refusal):
    status, type, code = 503, "overloaded_error", "engine_not_ready"


class Stopping(Refusal):
    status, type, code = 503, "overloaded_error", "server_stopping"


class EngineBroke(Refusal):
    status, type, code = 502, "server_error", "engine_error"


class EngineLost(EngineBroke):
    pass


class HungUp(EngineLost):
    """A connection used before ended without a byte of answer: the engine had closed it meanwhile."""


class EngineFull(EngineBroke):
    status, type, code = 503, "overloaded_error", "queue_full"


class NotTakenUp(EngineBroke):
    code = "engine_lost"


class Internal(Refusal):
    status, type, code = 500, "server_error", "internal_error"
