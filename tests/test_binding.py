"""A place that cannot be listened at is told with what to give instead."""

from __future__ import annotations

import pytest

from seekserve.binding import bound
from seekserve.errors import ConfigError, PortTaken
from seekserve.settings import Listen


def test_a_taken_port_names_another() -> None:
    with bound(Listen(port=0), 1, "") as first:
        taken = Listen(port=first.getsockname()[1])
        with (
            pytest.raises(PortTaken, match=f"Port {taken.port} on 127.0.0.1 is taken") as raised,
            bound(taken, 1, "--cluster 127.0.0.1:1"),
        ):
            pass
    assert raised.value.todo == "Stop that one, or choose another, such as --cluster 127.0.0.1:1."


def test_an_address_of_another_machine() -> None:
    with (
        pytest.raises(ConfigError, match=r"192\.0\.2\.77 is no address of this machine"),
        bound(Listen(host="192.0.2.77", port=0), 1, ""),
    ):
        pass


def test_it_is_closed_on_the_way_out() -> None:
    with bound(Listen(host="::1", port=0), 1, "") as listener:
        assert listener.getsockname()[0] == "::1"
    assert listener.fileno() == -1


def test_the_place_beside_can_be_pasted() -> None:
    assert Listen(host="::1", port=8000).beside == "[::1]:8001"
    assert Listen(host="127.0.0.1", port=65535).beside == "127.0.0.1:65534"
