"""What may be done to keys, and the words for times. Pure: keys in, keys out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from seekserve.errors import ConfigError, UnknownName
from seekserve.gateway.keys import COMMAND_LINE, Key, Secret

Keys = tuple[Key, ...]
REMEMBERED = timedelta(days=30)
"""How long a replaced secret is kept, so that whoever still sends it is told why it fails."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def named(keys: Keys, name: str) -> Key:
    """Raises UnknownName, with those that are called nearly so."""
    for key in keys:
        if key.name == name:
            return key
    near = difflib.get_close_matches(name, [key.name for key in keys], 3)
    raise UnknownName(
        f"There is no key {name[:80]!r}.",
        f"Did you mean {' or '.join(near)}?" if near else "seekserve keys list shows them all.",
    )


def untaken(keys: Keys, name: str) -> None:
    """Raises ConfigError where a key has the name, even one revoked: usage is booked by name."""
    if name == COMMAND_LINE:
        raise ConfigError(
            f"The name {name} is kept for the key that --api-key gives.", "Choose another name."
        )
    for key in keys:
        if key.name == name:
            was = f"was revoked on {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "is in use"
            raise ConfigError(
                f"The name {name} is taken, by a key that {was}; its usage is booked by name.",
                "Choose another name"
                + ("." if key.revoked_at else f", or: seekserve keys rotate {name}."),
            )


def rotated(keys: Keys, name: str, secret: Secret, grace: timedelta, now: datetime) -> Keys:
    """The key with a new secret; those before it hold until the grace ends, or as long as they would."""
    key = _active(keys, name, "a new secret", now)
    end = later(now, grace)
    older = [
        one.model_copy(update={"until": min(one.until or end, end)})
        for one in key.secrets
        if not one.until or one.until > now - REMEMBERED
    ]
    return _with(keys, key.model_copy(update={"secrets": (secret, *older)}))


def changed(keys: Keys, name: str, asked: Mapping[str, object], now: datetime) -> Keys:
    """The key with what is asked for its fields; None takes a limit away. Raises ConfigError, and pydantic's
    ValidationError where that does not fit.
    """
    key = _active(keys, name, "a change", now)
    if not asked:
        raise ConfigError(
            f"Nothing is said that the key {name} should change to.",
            "Say what: seekserve keys change --help lists all that can be.",
        )
    fields = {
        field: Key.model_fields[field].default if value is None else value
        for field, value in asked.items()
    }
    return _with(keys, Key.model_validate(key.model_dump() | fields))


def revoked(keys: Keys, name: str, now: datetime) -> Keys:
    """The key revoked; one that is already stays revoked since then."""
    key = named(keys, name)
    return _with(keys, key.model_copy(update={"revoked_at": key.revoked_at or now}))


def lasting(flag: str, text: str, instead: str = "") -> timedelta:
    """`90s`, `30m`, `12h`, `30d`, `2w`. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip(), re.ASCII)
    if not found:
        raise ConfigError(
            f"{flag} {text[:40]!r} is no time that can be read.",
            f"Write a number and s, m, h, d or w, such as 90s, 12h or 30d{instead}.",
        )
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        return timedelta.max


def expiry(flag: str, text: str, now: datetime) -> datetime:
    """After a time such as `30d`, or with the end of a day (UTC) such as 2027-01-31."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip(), re.ASCII):
        end = later(now, lasting(flag, text, ", or a day, such as 2027-01-31"))
    else:
        try:
            day = date.fromisoformat(text.strip())
            end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        except (ValueError, OverflowError) as error:
            raise ConfigError(
                f"{flag}: there is no day {text!r}.", "Write it as 2027-01-31."
            ) from error
    if end <= now:
        raise ConfigError(f"{flag} {text!r} is over already.", "Give a time or a day to come.")
    return end


def later(now: datetime, by: timedelta) -> datetime:
    """As far off as a date can be, where `by` would go beyond."""
    try:
        return now + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _active(keys: Keys, name: str, what: str, now: datetime) -> Key:
    """A key that has ended never lets in again. Raises ConfigError for one."""
    key = named(keys, name)
    if (state := key.state(now)) != "active":
        raise ConfigError(
            f"The key {name} is {state}: {what} would not let it in.",
            "Make another: seekserve keys add NAME.",
        )
    return key


def _with(keys: Iterable[Key], changed: Key) -> Keys:
    return tuple(changed if key.id == changed.id else key for key in keys)
