"""Sizes and times mean what they say; other notations are translated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.config import units

HINTS = {
    "16": "16M", "16MB": "16M", "16 MiB": "16M", "16m": "16M", "0x1000000": "16M", "1.5G": "1536M",
    "1.3M": "512K, 16M or 1G", "10Q": "512K, 16M or 1G",
}  # fmt: skip
TIME_HINTS = {
    "10": "10s", "10 s": "10s", "500 ms": "500ms", "1h": "60m", "5 minutes": "5m", "0.5": "500ms",
    "500µs": "500us", "90 sec": "90s", "100ns": "10s, 500ms or 2m", "soon": "10s, 500ms or 2m",
}  # fmt: skip


@pytest.mark.parametrize(
    ("read", "text", "right"),
    [*((units.size, *pair) for pair in HINTS.items()),
     *((units.seconds, *pair) for pair in TIME_HINTS.items())],
)  # fmt: skip
def test_units_of_others_are_translated(
    read: Callable[[str], object], text: str, right: str
) -> None:
    """The error has the right notation to write."""
    with pytest.raises(ValueError, match=f"write {right}( for mebibytes)?$"):
        read(text)
    read(right.split(",")[0])


@given(st.integers(1, 10**6), st.sampled_from(["K", "M", "G"]))
def test_sizes_mean_what_they_say(number: int, unit: str) -> None:
    assert units.size(f"{number}{unit}") == number << {"K": 10, "M": 20, "G": 30}[unit]
    assert units.size(units.show_size(units.size(f"{number}{unit}"))) == units.size(
        f"{number}{unit}"
    )
