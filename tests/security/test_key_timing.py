"""`key_timing` would see a difference, and its keys are the wrong ones that it says."""

from __future__ import annotations

from tests.security.key_timing import mann_whitney, pairs, ranks, timed


def test_ranks_share_ties() -> None:
    assert ranks([3, 1, 3, 2]) == ([3.5, 1, 3.5, 2], 6.0)


def test_a_difference_is_seen_and_none_is_not_made_up() -> None:
    """By hand: U = 24.5, seven pairs of ties, variance 100/12 (21 - 42/380) = 174.08, z = -1.9327."""
    p, larger = mann_whitney(list(range(1, 11)), list(range(4, 14)))
    assert (round(p, 5), larger) == (0.05327, 0.245)
    assert mann_whitney([1.0] * 9, [1.0] * 9) == (1.0, 0.5)
    assert mann_whitney(list(range(1000)), list(range(30, 1030)))[0] < 0.05


def test_an_early_end_would_show() -> None:
    """Comparing letter by letter, as CVE-2025-59425's check did, is told apart at once."""

    def check(text: str) -> object:
        return all(a == b for a, b in zip(text, "x" * 2000, strict=True))

    first, second = timed(check, lambda: "x" * 2000, lambda: "y" + "x" * 1999, 200)
    assert mann_whitney(first, second)[0] < 1e-6


def test_what_is_timed_is_never_let_in() -> None:
    check, compared = pairs()
    assert len(compared) == 6
    for one, two in compared.values():
        first, second = one(), two()
        assert check(first) is None and check(second) is None
        assert first != second and len(first) == len(second)
