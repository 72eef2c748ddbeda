"""The whole examination: gathers the facts, and puts each before its check."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seekserve import __version__, opsdoor
from seekserve.config import read_tier
from seekserve.doctor import doors, files, host, knocking, looking, processes, setups, versions
from seekserve.doctor.advisories import load_advisories
from seekserve.doctor.facts import Door, Server, Setup
from seekserve.doctor.findings import Finding, ok, warn, worst_first
from seekserve.plan.catalog import load_catalog
from seekserve.plan.command import flag_words
from seekserve.plan.formats import alike
from seekserve.settings import Limits, Tier


def examine(folder: Path, tier: str | None) -> list[Finding]:
    """What was found, the worst first. Raises ConfigError for a tier that cannot be read."""
    wanted = read_tier(tier) if tier else None
    return worst_first(_all(folder, wanted))


def _all(folder: Path, tier: Tier | None) -> Iterator[Finding]:
    known = load_advisories()
    yield from files.check(looking.state_folder(folder))
    yield from versions.check(looking.installed(), known)
    running = [_server(path) for path in opsdoor.living(folder)]
    for server in running:
        yield from doors.server(server)
        yield from versions.own(__version__, server.version)
        for engine in server.engines:
            yield from setups.check(engine)
        for attached in server.attached:
            if not attached.unix:
                yield from versions.engine(attached.version, attached.url, known)
    if not running:
        yield warn(
            "doors",
            f"No server runs with the state folder {folder}: doors and engines were not looked at.",
            "Ask again while it runs, as the user who runs it.",
        )
        yield from setups.environment(os.environ, "This shell, which an engine would inherit")
    if tier:
        yield from _tier(tier, looking.kept_commits(folder))
    seen = looking.host(folder, running[0].pid if running else 0)
    yield from host.check(seen, tier.limits if tier else Limits())


def _server(path: Path) -> Server:
    told = opsdoor.ask(path, "GET", "/server").page
    api = _door(told["api"], told["api"]["door"] == "closed")
    ops, cluster = told["ops"], told.get("cluster")  # an older server has none
    return Server(
        pid=told["pid"],
        version=told["version"],
        tier=told["tier"],
        api=api,
        scrape=_door(ops, ops["token"]) if ops else None,
        replies=knocking.replies(api),
        engines=tuple(processes.engines(told["pid"])),
        attached=tuple(knocking.attachment(url) for url in told["attached"]),
        cluster=_door(cluster, closed=True) if cluster else None,
    )


def _door(told: Mapping[str, Any], closed: bool) -> Door:
    key = told.get("tls_key") or ""
    key_open = key if key and looking.others_read(Path(key)) else ""
    return Door(told["host"], told["port"], told["loopback"], told["tls"], closed, key_open)


def _tier(tier: Tier, kept: Mapping[str, str]) -> Iterator[Finding]:
    """A tier as it would be started."""
    if tier.ladder:
        yield from _ladder(tier, kept)
        return
    args = tier.engine.args
    argv = tuple(word for name, value in args.items() for word in flag_words(name, value))
    env = dict(os.environ) | dict(tier.engine.env)
    model = tier.engine.model
    local = model == "demo" or Path(model).is_dir()
    name = f"tier {tier.tier}"
    commit = getattr(tier.engine, "revision", "")
    argv += ("--revision", commit, "--code-revision", commit) if commit else ()
    yield from setups.check(Setup(name, argv, env, model, local, processes.cached(model, env)))


def _ladder(tier: Tier, kept: Mapping[str, str]) -> Iterator[Finding]:
    """What a ladder's models are fetched from, and whether that can change."""
    catalog = load_catalog()
    variants = {}
    for rung in (one for one in tier.ladder if not Path(one.model).is_dir()):
        weights = catalog.model(rung.model).weights
        taken = alike(rung.weights, weights) if rung.weights else None
        for variant in [weights[taken]] if taken else weights.values():
            commit = getattr(rung, "revision", "") or getattr(variant, "revision", "")
            variants[variant.repo] = commit or kept.get(variant.repo)
    loose = sorted(repo for repo, revision in variants.items() if not revision)
    if loose:
        yield warn(
            "models",
            f"tier {tier.tier}: {len(loose)} of the {len(variants)} repositories it may fetch from are "
            f"not pinned to a commit, so what is fetched can change ({loose[0]}, ...).",
            "Name the commit you have looked at beside the rung's weights (revision), or fetch it "
            "yourself and give its folder as the rung's model.",
        )
    else:
        yield ok("models", f"tier {tier.tier}: every repository is pinned to a commit.")
