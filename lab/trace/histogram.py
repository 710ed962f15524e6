"""Distributions of times as HDR histograms, with three digits of every value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

#: Values are nanoseconds, up to an hour.
LARGEST = 3600 * 10**9
DIGITS = 3
PERCENTILES = (("p50", 50.0), ("p99", 99.0), ("p999", 99.9))


def histogram(seconds: npt.NDArray[np.float64]) -> HdrHistogram:
    """A histogram of times. A time below zero counts as zero."""
    found = HdrHistogram(1, LARGEST, DIGITS)
    whole = np.clip(np.rint(seconds * 1e9), 0, LARGEST).astype(np.int64)
    values, counts = np.unique(whole, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        found.record_value(value, count)
    return found


def summary(seconds: npt.NDArray[np.float64]) -> dict[str, Any] | None:
    """Count, smallest, mean, percentiles and largest, in seconds; ``None`` without values.

    Percentiles come from the histogram; smallest and largest are exact.
    """
    if not len(seconds):
        return None
    found = histogram(seconds)
    low, high = float(np.min(seconds)), float(np.max(seconds))
    middle = {
        name: min(max(found.get_value_at_percentile(at) / 1e9, low), high)
        for name, at in PERCENTILES
    }
    values = {"min": low, "mean": float(seconds.mean()), **middle, "max": high}
    return {"count": len(seconds)} | {name: round(value, 9) for name, value in values.items()}
