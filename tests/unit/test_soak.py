"""What a soak counts as growth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.bench.soak import Sample, grown

FLAT = Sample(descriptors=6, memory=50 << 20, disk=1 << 30, processes=0)


def test_what_comes_and_goes_is_no_growth() -> None:
    """Noise, one lab that is still ending, or too few samples are no growth."""
    noisy = [replace(FLAT, memory=FLAT.memory + n % 3 * (8 << 20), processes=n % 2)
             for n in range(30)]  # fmt: skip
    assert grown(noisy) == []
    assert grown([FLAT, replace(FLAT, processes=9)]) == []


@pytest.mark.parametrize(
    ("what", "each"), [("descriptors", 1), ("memory", 1 << 20), ("disk", 1 << 20), ("processes", 1)]
)
def test_a_leak_is_named(what: str, each: int) -> None:
    """A little growth with every lab is found."""
    leaking = [replace(FLAT, **{what: getattr(FLAT, what) + n * each}) for n in range(30)]
    found = grown(leaking)
    assert len(found) == 1
    assert found[0].startswith(what)
