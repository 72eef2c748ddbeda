"""The arithmetic of the bench: process trees, medians, ratios within rounds."""

import os

import pytest

from .measure import (
    Memory,
    Stat,
    cpu_seconds,
    differences,
    median,
    memory,
    parse_rollup,
    parse_stat,
    percentile,
    ratio,
    tree,
)


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields() -> None:
    line = "42 (a (b) c) S 7 42 42 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 1 0 99 1000 5"
    assert parse_stat(line) == Stat(pid=42, parent=7, ticks=127)


def test_a_tree_is_the_root_and_every_descendant_but_nobody_else() -> None:
    stats = [Stat(1, 0, 5), Stat(2, 1, 6), Stat(3, 2, 7), Stat(4, 0, 8), Stat(5, 1, 9)]
    assert sorted(stat.pid for stat in tree(1, stats)) == [1, 2, 3, 5]
    assert tree(99, stats) == []


def test_memory_is_read_in_mib_and_adds_up() -> None:
    text = (
        "55-7f ---p 00000000 00:00 0 [rollup]\nRss:    2048 kB\nPss:    1024 kB\nPss_Anon: 9 kB\n"
    )
    assert parse_rollup(text) == Memory(2.0, 1.0)
    assert parse_rollup(text) + Memory(1.0, 1.0) == Memory(3.0, 2.0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_rounds_are_compared_with_their_own_round() -> None:
    # The second round was twice as slow for both: neither figure moves.
    assert ratio([100, 50, 90], [50, 25, 50]) == 2.0
    assert differences([5, 15], [4, 14]) == [1, 1]
    assert median([]) is None
    assert ratio([1.0], []) is None


def test_this_process_has_spent_and_holds_something() -> None:
    assert cpu_seconds(os.getpid()) > 0
    own = memory(os.getpid())
    assert own.rss >= own.pss > 0
