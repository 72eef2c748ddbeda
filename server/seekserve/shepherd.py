"""What the first process of a container owes the others: orphans are reaped, signals are passed on.

Engines leave orphans when they are killed. Where nobody reaps them they stay as zombies, and a process
group with a zombie in it looks as if it still ran. Docker's --init does the same, where it is given.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def watch_over(run: Callable[[], None]) -> NoReturn:
    """Runs it in a child, and exits as that does. No signal is lost between the two."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # a terminal's Ctrl-C reaches us alone, so that it is not heard twice
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        run()
        sys.exit(0)
    for number in PASSED_ON:
        signal.signal(number, _to(child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    sys.exit(_end_of(child))


def _to(child: int) -> Callable[[int, FrameType | None], None]:
    def passed_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    return passed_on


def _end_of(child: int) -> int:
    """Its exit code, as a shell would tell it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
