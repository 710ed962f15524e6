"""Xen's time stamps, as 4.17 prints them and as 4.20 and later print them on ARM32."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.machine.merged_consoles import find_zeros, merge
from lab.machine.stamps import Stamps, are_wrong

SECOND = 10**9


def divided(time: int) -> tuple[int, int]:
    """What ``do_div(time, 1000000000)`` of Xen 4.20 gives: quotient and rest.

    The steps of ``xen/arch/arm/include/asm/div64.h``, in 64 bits.
    """
    most, scale = (1 << 64) - 1, 1 << SECOND.bit_length()
    inverse = most // SECOND * scale & most
    inverse += ((most % SECOND + 1) * scale + SECOND - 1) // SECOND
    quotient = (time * (inverse & most) >> 64) // scale
    return quotient, time - quotient * SECOND & 0xFFFFFFFF


def wrong(time: int) -> bytes:
    seconds, rest = divided(time)
    return b"(XEN) [%5d.%06d] line" % (seconds, rest // 1000)


def test_the_models_division_prints_what_was_seen() -> None:
    """On master 2.189619 s were printed so."""
    assert wrong(2_189_619_000) == b"(XEN) [    0.2189619] line"


@given(st.lists(st.integers(0, 4 * SECOND), min_size=1, max_size=200))
def test_wrong_times_are_put_right(steps: list[int]) -> None:
    """To the microsecond, if Xen says something each four seconds and once in the first four."""
    time, stamps = 1_500_000_000, Stamps()
    assert stamps.read(wrong(time)) == pytest.approx(1.5)
    assert stamps.wrong
    for step in steps:
        time += step
        assert stamps.read(wrong(time)) == pytest.approx(time / SECOND, abs=2e-6)


@given(st.lists(st.integers(0, 10**6 * SECOND), max_size=50))
def test_times_never_run_backwards(times: list[int]) -> None:
    """Whatever is printed, also where Xen was silent for long."""
    stamps = Stamps()
    found = [stamps.read(wrong(time)) for time in times]
    known = [one for one in found if one is not None]
    start = next((i for i, time in enumerate(times) if divided(time)[1] >= SECOND), len(times))
    assert known[start:] == sorted(known[start:])


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_right_times_are_taken_as_they_are(times: list[float]) -> None:
    stamps = Stamps()
    for time in times:
        line = b"(XEN) [%5d.%06d] line" % divmod(int(time * 10**6), 10**6)
        assert stamps.read(line) == pytest.approx(time, abs=2e-6)
    assert not stamps.wrong


def test_consoles_are_merged_by_the_true_times(tmp_path: Path) -> None:
    """dom0 says something between two lines of Xen's whose printed times say otherwise."""
    moments = (200_000_000, 2_000_000_000, 3_000_000_000, 6_000_000_000)
    words = (b"*** LOADING DOMAIN 0 ***", b"d0v0: vGICD: first", b"second", b"third")
    lines = [wrong(time).replace(b"line", word) for time, word in zip(moments, words, strict=True)]
    (tmp_path / "xen.log").write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "dom0.log").write_bytes(b"[    3.000000] between\n")
    files = {name: tmp_path / f"{name}.log" for name in ("xen", "dom0")}
    assert find_zeros(files["xen"]).kernel == pytest.approx(2.0)
    found = [(entry.line.console, entry.time) for entry in merge(files)]
    assert [console for console, _ in found] == ["xen", "xen", "xen", "dom0", "xen"]
    assert found[3][1] == pytest.approx(5.0)
    assert are_wrong(files["xen"])
    assert not are_wrong(files["dom0"])
    assert not are_wrong(tmp_path / "none.log")
