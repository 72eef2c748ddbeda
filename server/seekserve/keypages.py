"""How keys are shown: tables for people, plain data for programs. Pure; never a key or its digest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from seekserve.gateway.keys import PREFIX, Key

LIMITS = ("req/min", "tokens/min", "at once", "budget/month")
COLUMNS = ("name", "state", "class", "scope", "models", *LIMITS, "expires")
_COLOURS = {"active": "green", "expired": "yellow", "revoked": "red"}


def plain(key: Key, now: datetime) -> dict[str, Any]:
    """For --json. Times are ISO 8601 in UTC; null is no limit, or has not happened."""
    told = key.model_dump(mode="json", exclude={"secrets", "class_name"})
    grace = _grace(key, now)
    return told | {
        "class": key.class_name or None,
        "state": key.state(now),
        "begins_with": f"{PREFIX}{key.id}-",
        "old_until": grace.isoformat().replace("+00:00", "Z") if grace else None,
    }


def table(keys: Sequence[Key], now: datetime) -> Table:
    columns = (Column(title, no_wrap=True) for title in COLUMNS)
    page = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for key in keys:
        page.add_row(*_row(key, now))
    return page


def sheet(key: Key, now: datetime) -> Table:
    """One key, a line for each thing there is to know."""
    columns = Column(no_wrap=True), Column(overflow="fold")
    page = Table(*columns, box=None, show_header=False, pad_edge=False)
    for title, value in zip(COLUMNS, _row(key, now), strict=True):
        page.add_row(f"[bold]{title}[/]", value)
    page.add_row("[bold]created[/]", at(key.created_at))
    page.add_row("[bold]begins with[/]", f"{PREFIX}{key.id}-")
    if key.revoked_at:
        page.add_row("[bold]revoked[/]", at(key.revoked_at))
    if grace := _grace(key, now):
        page.add_row("[bold]old one works until[/]", at(grace))
    return page


def differences(before: Key, after: Key, now: datetime) -> list[str]:
    """What became of a key, a line for each thing that differs."""
    both = zip(COLUMNS, _words(before, now), _words(after, now), strict=True)
    return [f"{title}: {old} -> {new}" for title, old, new in both if old != new]


def at(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _row(key: Key, now: datetime) -> tuple[str, ...]:
    name, state, *rest = _words(key, now)
    return (escape(name), f"[{_COLOURS[state]}]{state}[/]", *map(escape, rest))


def _words(key: Key, now: datetime) -> tuple[str, ...]:
    return (
        key.name,
        key.state(now),
        key.class_name or "(the tier's default)",
        key.scope,
        ", ".join(key.models) or "all",
        *(_limit(v) for v in (key.requests_per_min, key.tokens_per_min, key.concurrency)),
        "-" if key.monthly_budget is None else _sum(key.monthly_budget),
        at(key.expires_at) if key.expires_at else "never",
    )


def _sum(value: float) -> str:
    return f"{value:,.2f}" if round(value, 2) == value else f"{value:,}"


def _limit(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _grace(key: Key, now: datetime) -> datetime | None:
    """Until when a replaced secret still lets in; None when none does."""
    ends = [secret.until for secret in key.secrets if secret.until and secret.until > now]
    return max(ends, default=None)
