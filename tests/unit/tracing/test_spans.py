"""Arithmetic on spans agrees with sets of moments."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lab.trace import spans
from lab.trace.spans import Spans

PAIR = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair)))
SOME = st.lists(PAIR, max_size=12)


def moments(some: Spans) -> set[int]:
    return {moment for start, end in some.tolist() for moment in range(start, end)}


def made(rows: list[tuple[int, int]]) -> Spans:
    return spans.union(spans.spans([row[0] for row in rows], [row[1] for row in rows]))


def proper(some: Spans) -> bool:
    return bool((some[:, 1] > some[:, 0]).all() and (some[1:, 0] >= some[:-1, 1]).all())


@given(SOME, SOME)
def test_as_sets_have_it(rows: list[tuple[int, int]], more: list[tuple[int, int]]) -> None:
    one, other = made(rows), made(more)
    assert moments(one) == {m for start, end in rows for m in range(start, end)}
    for found, expected in (
        (spans.intersect(one, other), moments(one) & moments(other)),
        (spans.subtract(one, other), moments(one) - moments(other)),
        (spans.union(one, other), moments(one) | moments(other)),
    ):
        assert proper(found)
        assert moments(found) == expected
        assert spans.length(found) == len(expected)


@given(SOME, st.lists(PAIR, min_size=1, max_size=8))
def test_overlaps_are_counted(rows: list[tuple[int, int]], windows: list[tuple[int, int]]) -> None:
    one = made(rows)
    starts, ends = np.array(windows, np.int64).T
    expected = [len(moments(one) & set(range(a, b))) for a, b in windows]
    assert spans.overlap(one, starts, ends).tolist() == expected
