"""Arithmetic on spans of time: int64[n, 2] of (start, end), disjoint and in order.

Everything works on arrays and takes linear or n log n time. Counters are below 2^62, so sums and
differences fit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Spans = npt.NDArray[np.int64]
Times = npt.NDArray[np.int64]

NONE: Spans = np.zeros((0, 2), np.int64)


def spans(starts: npt.ArrayLike, ends: npt.ArrayLike) -> Spans:
    """Spans from starts and ends. Empty ones are dropped."""
    found = np.stack([np.asarray(starts, np.int64), np.asarray(ends, np.int64)], axis=1)
    return found[found[:, 1] > found[:, 0]]


def union(*several: Spans) -> Spans:
    """The time in any of the spans, which may overlap and be in any order."""
    everything = np.concatenate([NONE, *several])
    everything = everything[np.argsort(everything[:, 0], kind="stable")]
    if not len(everything):
        return NONE
    reach = np.maximum.accumulate(everything[:, 1])
    first = np.flatnonzero(np.concatenate([[True], everything[1:, 0] > reach[:-1]]))
    last = np.concatenate([first[1:] - 1, [len(everything) - 1]])
    return spans(everything[first, 0], reach[last])


def intersect(one: Spans, other: Spans) -> Spans:
    """The time that is in both."""
    if not len(one) or not len(other):
        return NONE
    low = np.searchsorted(other[:, 1], one[:, 0], side="right")
    high = np.searchsorted(other[:, 0], one[:, 1], side="left")
    left, right = pairs(low, high)
    return spans(
        np.maximum(one[left, 0], other[right, 0]), np.minimum(one[left, 1], other[right, 1])
    )


def subtract(one: Spans, other: Spans) -> Spans:
    """The time that is in ``one`` and not in ``other``."""
    if not len(one) or not len(other):
        return one
    low, high = int(one[0, 0]), int(one[-1, 1])
    starts = np.concatenate([[min(low, int(other[0, 0]))], other[:, 1]])
    ends = np.concatenate([other[:, 0], [max(high, int(other[-1, 1]))]])
    return intersect(one, spans(starts, ends))


def overlap(of: Spans, starts: Times, ends: Times) -> Times:
    """How much time of ``of`` is in each window from ``starts`` to ``ends``: int64[k]."""
    found: Times = until(of, ends) - until(of, starts)
    return found


def until(of: Spans, times: Times) -> Times:
    """How much time of ``of`` is before each time: int64[k]."""
    if not len(of):
        return np.zeros(len(times), np.int64)
    total = np.concatenate([[0], np.cumsum(of[:, 1] - of[:, 0])])
    index = np.searchsorted(of[:, 0], times, side="right")
    last = np.maximum(index - 1, 0)
    beyond = np.maximum(of[last, 1] - times, 0)
    return np.asarray(np.where(index > 0, total[index] - beyond, 0), np.int64)


def length(of: Spans) -> int:
    """The whole time."""
    return int((of[:, 1] - of[:, 0]).sum())


def pairs(low: Times, high: Times) -> tuple[Times, Times]:
    """For each i all j with ``low[i] <= j < high[i]``, as two arrays of one length."""
    counts = np.maximum(high - low, 0)
    left = np.repeat(np.arange(len(low), dtype=np.int64), counts)
    offset = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return left, np.asarray(np.repeat(low, counts) + offset, np.int64)
