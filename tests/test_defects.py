"""What the loop complains of is a line of the log: no trace, and none of what was at hand."""

from __future__ import annotations

import asyncio
import json
import socket

from seekserve.defects import unheard
from seekserve.log import Log
from tests.support import until


def lines_of(lines: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines]


async def test_a_defect_is_told_by_its_kind_and_place() -> None:
    lines: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unheard(Log("json", lines.append)))

    def broken(prompt: str) -> None:
        raise ValueError(prompt)

    loop.call_soon(broken, "a secret prompt")
    await until(lambda: lines, "its line")
    (told,) = lines_of(lines)
    assert (told["event"], told["kind"]) == ("defect", "ValueError")
    assert str(told["at"]).startswith("test_defects.py:")
    assert "secret" not in lines[0]


async def test_a_future_of_the_loops_own_that_is_woken_twice_is_none() -> None:
    """As anyio waits for a socket: its future may be done before the reader is taken off."""
    lines: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unheard(Log("json", lines.append)))
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        woken = loop.create_future()
        woken.set_result(None)
        loop.add_reader(near, woken.set_result, None)
        far.send(b"x")
        await asyncio.sleep(0.05)
        loop.remove_reader(near)
    assert not lines
    loop.call_soon(lambda: woken.set_result(None))  # of somebody's code it is a defect
    await until(lambda: lines, "its line")
    assert lines_of(lines)[0]["kind"] == "InvalidStateError"
