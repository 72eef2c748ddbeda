"""Where an engine listens, as people write it."""

from __future__ import annotations

import pytest

from seekserve.engine.address import Address
from seekserve.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "told", "authority"),
    [
        ("unix:/run/x.sock", "unix:/run/x.sock", "localhost"),
        ("unix:///run/x.sock", "unix:/run/x.sock", "localhost"),
        ("unix:rel.sock", "unix:rel.sock", "localhost"),
        ("http://box:9000", "http://box:9000", "box:9000"),
        ("http://box", "http://box:80", "box:80"),
        ("http://box:9000/v1", "http://box:9000", "box:9000"),
        ("http://box:9000/v1/", "http://box:9000", "box:9000"),
        ("http://box:9000/llm/v1", "http://box:9000/llm", "box:9000"),
        ("http://[::1]:9000", "http://[::1]:9000", "[::1]:9000"),
    ],
)
def test_what_is_understood(url: str, told: str, authority: str) -> None:
    address = Address.parse(url)
    assert str(address) == told
    assert address.authority == authority
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "url",
    [
        "unix:",
        "http://",
        "http://:80",
        "http://u:p@box",
        "http://:p@box",
        "http://\udcff",
        f"http://{'x' * 64}",
        "http://box:x",
        "http://box:99999",
        "http://box?x=1",
        "http://[::1",
    ],
)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(url)


def test_a_password_is_not_said_again() -> None:
    with pytest.raises(ConfigError) as refused:
        Address.parse("http://user:hunter2@box:9000")
    assert "hunter2" not in refused.value.message + refused.value.todo
