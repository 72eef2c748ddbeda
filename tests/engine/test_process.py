"""A process group ends whole, whatever it does: TERM, grace, KILL. Its words are kept, privately."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from seekserve.engine.logfile import LogFile
from seekserve.engine.process import MAX_LINE, TAIL_LINES, Command, Process
from tests.support import alive, until

IGNORES = "import signal,time;signal.signal(signal.SIGTERM,signal.SIG_IGN);"
HOLDS = IGNORES + "import os;print(os.getpid(),flush=True);time.sleep(600)"


def python(code: str) -> Command:
    return Command((sys.executable, "-u", "-c", code))


async def spawn(code: str, folder: Path, grace_s: float = 5.0) -> tuple[Process, list[str]]:
    lines: list[str] = []
    process = await Process.spawn(python(code), folder / "log", lines.append, grace_s)
    return process, lines


async def test_output_goes_to_a_private_file_a_tail_and_the_listener(tmp_path: Path) -> None:
    code = "import sys;print('one');print('two',file=sys.stderr);sys.stdout.write('three')"
    process, lines = await spawn(code, tmp_path)
    async with process:
        assert await process.wait() == 0
    assert lines == list(process.tail) == ["one", "two", "three"]
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


async def test_progress_bars_and_endless_lines_are_lines_of_bounded_length(tmp_path: Path) -> None:
    process, lines = await spawn("print('1%\\r2%\\r3%');print('x'*200_000)", tmp_path)
    async with process:
        await process.wait()
    assert lines[:3] == ["1%", "2%", "3%"]
    assert lines[3:] == ["x" * MAX_LINE]


async def test_the_tail_is_bounded(tmp_path: Path) -> None:
    process, _ = await spawn("for i in range(1000): print(i)", tmp_path)
    async with process:
        await process.wait()
    assert len(process.tail) == TAIL_LINES
    assert process.tail[-1] == "999"


async def test_the_log_before_is_kept_once(tmp_path: Path) -> None:
    for number in range(3):
        process, _ = await spawn(f"print({number})", tmp_path)
        async with process:
            await process.wait()
    assert (tmp_path / "log").read_text() == "2\n"
    assert (tmp_path / "log.1").read_text() == "1\n"


async def test_a_full_disk_does_not_stop_the_engine(tmp_path: Path) -> None:
    lines: list[str] = []
    command = python("for i in range(100_000): print(i)")  # more than a pipe holds
    async with await Process.spawn(command, Path("/dev/full"), lines.append, 5) as process:
        assert await process.wait() == 0
    assert lines[-1] == "99999"


async def test_a_log_that_cannot_be_opened_leaves_no_process(tmp_path: Path) -> None:
    born = tmp_path / "born"
    with pytest.raises(OSError, match="nowhere"):
        await Process.spawn(Command(("touch", str(born))), tmp_path / "nowhere" / "log", print, 5)
    await asyncio.sleep(0.1)
    assert not born.exists()


async def test_what_cannot_be_run_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await Process.spawn(Command(("/no-such-program",)), tmp_path / "log", print, 5)


async def test_term_is_enough_for_the_obedient(tmp_path: Path) -> None:
    process, lines = await spawn("import time;print('up');time.sleep(600)", tmp_path, 60)
    async with process:
        await until(lambda: lines)
    assert process.returncode == -signal.SIGTERM


async def test_kill_comes_after_the_grace(tmp_path: Path) -> None:
    process, lines = await spawn(IGNORES + "print('up');time.sleep(600)", tmp_path, 0.3)
    async with process:
        await until(lambda: lines)
        began = time.monotonic()
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began >= 0.3


async def test_a_grace_may_be_cut_short_but_not_made_longer(tmp_path: Path) -> None:
    process, lines = await spawn(IGNORES + "print('up');time.sleep(600)", tmp_path, 600)
    await until(lambda: lines)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(0.1)
    for within_s in (700.0, 0.1, 700.0):
        process.hurry(within_s)
    began = time.monotonic()
    await stopping
    process.hurry(0.0)
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 60


async def test_a_stop_that_is_cut_short_as_the_process_ends_is_cut_short(tmp_path: Path) -> None:
    """asyncio.wait_for of Python 3.11 takes the end for an answer, and the cancellation is lost."""
    process, _ = await spawn("import time;time.sleep(600)", tmp_path, 60)
    stopping = asyncio.create_task(process.stop())
    await process.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await process.stop()


async def test_a_grandchild_that_ignores_term_ends_with_the_group(tmp_path: Path) -> None:
    code = f"import subprocess,sys,time;subprocess.Popen([sys.executable,'-c',{HOLDS!r}]);"
    process, lines = await spawn(code + "time.sleep(600)", tmp_path, 60)
    began = time.monotonic()
    async with process:
        await until(lambda: lines)
        assert alive(int(lines[0]))
    await until(lambda: not alive(int(lines[0])), "the grandchild to end")
    assert time.monotonic() - began < 30, (
        "the grandchild's hold on the pipe must not cost the grace"
    )


async def test_the_leaders_death_is_noticed_while_a_grandchild_holds_the_pipe(
    tmp_path: Path,
) -> None:
    code = f"import subprocess,sys,os;subprocess.Popen([sys.executable,'-c',{HOLDS!r}]);"
    wait = "import time;time.sleep(1);print('bye');os._exit(3)"
    process, lines = await spawn(code + wait, tmp_path)
    async with process:
        assert await process.wait() == 3
        assert alive(int(lines[0]))
        assert "bye" in lines
    await until(lambda: not alive(int(lines[0])), "the grandchild to end")


async def test_one_that_left_the_group_does_not_hold_us(tmp_path: Path) -> None:
    popen = f"subprocess.Popen([sys.executable,'-c',{HOLDS!r}],start_new_session=True)"
    process, lines = await spawn(f"import subprocess,sys,time;{popen};time.sleep(600)", tmp_path)
    async with process:
        await until(lambda: lines)
        escaped = int(lines[0])
    try:
        assert alive(escaped)
        assert process.returncode == -signal.SIGTERM
    finally:
        os.kill(escaped, signal.SIGKILL)


async def test_our_key_is_hidden_from_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEKSERVE_API_KEY", "sk-1")
    monkeypatch.setenv("SEEKSERVE_ENGINE_API_KEY", "sk-2")
    monkeypatch.setenv("SEEKSERVE_OPERATOR_KEY", "sk-3")
    process, lines = await spawn("import os;print(*sorted(os.environ))", tmp_path)
    async with process:
        await process.wait()
    assert "API_KEY" not in lines[0] and "OPERATOR_KEY" not in lines[0]
    assert "PATH" in lines[0]


def test_a_log_turns_over_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFile(tmp_path / "log")
    for _ in range(33):
        log.write(b"x" * 2**20)
    log.close()
    assert (tmp_path / "log").stat().st_size < 2**20
    assert (tmp_path / "log.1").stat().st_size > 32 * 2**20
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


async def test_a_neighbour_of_any_name_hides_nothing(tmp_path: Path) -> None:
    """What /proc says holds the names of everybody's programs."""
    odd = os.fsencode(tmp_path) + b"/\xff\xfe)"
    os.symlink(os.fsencode(shutil.which("sleep") or ""), odd)
    process, _ = await spawn(f"import os; os.execv({odd!r}, ['x', '600'])", tmp_path)
    async with process:
        comm = Path(f"/proc/{process.pid}/comm")
        await until(lambda: comm.read_bytes().startswith(b"\xff"), "its name")
        young_s = process.youngest_s()
        assert young_s is not None and young_s < 60
        assert process.resident_gib()
