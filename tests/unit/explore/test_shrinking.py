"""What is left of disturbances when those that a failure does not need are taken away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.explore.shrinking import shrink


@given(st.integers(0, 12), st.sets(st.integers(1, 12)))
def test_what_is_needed_is_left(count: int, needed: set[int]) -> None:
    """Whichever they are, as many as they are."""
    numbers = range(1, count + 1)
    needed &= set(numbers)
    left, asked = shrink(numbers, lambda rest: needed <= set(rest))
    assert set(left) == needed
    assert asked <= 4 * count + 1


def test_none_is_needed() -> None:
    """A run that fails without any is found with one question."""
    assert shrink((1, 2, 3), lambda rest: len(rest) < 3) == ((), 1)


def test_one_of_two_is_enough() -> None:
    """One stays, although each alone can go."""
    left, _ = shrink((1, 2, 3, 4), lambda rest: 2 in rest or 3 in rest)
    assert left in ((2,), (3,))


def test_nothing_is_asked_twice_in_vain() -> None:
    """Each question is about fewer numbers than fail already."""
    asked: list[tuple[int, ...]] = []

    def fails(rest: tuple[int, ...]) -> bool:
        asked.append(rest)
        return {2, 5} <= set(rest)

    assert shrink(range(1, 7), fails)[0] == (2, 5)
    assert asked[0] == ()
    assert all(len(rest) < 6 for rest in asked)
