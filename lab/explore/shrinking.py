"""Finds few of some disturbances that still make a run fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def shrink(
    numbers: Sequence[int], fails: Callable[[tuple[int, ...]], bool]
) -> tuple[tuple[int, ...], int]:
    """Take numbers away as long as ``fails`` says yes about the rest.

    First all are taken away, then halves, quarters and so on, until no single one can go. It is
    delta debugging without its complements (Zeller and Hildebrandt, 2002).

    Returns the numbers that are left, and how often ``fails`` was asked.
    """
    left, asked, size = tuple(numbers), 0, len(numbers)
    while left and size:
        smaller = None
        for at in range(0, len(left), size):
            rest = left[:at] + left[at + size :]
            asked += 1
            if fails(rest):
                smaller = rest
                break
        if smaller is None:
            size //= 2
        else:
            left, size = smaller, min(size, len(smaller))
    return left, asked
