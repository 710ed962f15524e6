"""Xen's own reader of traces and ours agree."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from lab.bench import decoding, xenalyze
from lab.packages.lock import Lock
from lab.progress import Progress
from lab.trace import xentrace
from lab.trace.events import XenEventKind
from lab.workshop.prepare import Workshop

SAMPLE = Path(__file__).parents[2] / "data" / "xen.bin"


def switches(path: Path) -> dict[int, int]:
    """How often a vCPU of each domain was switched to, by our decoder."""
    events, reading = xentrace.load(path)
    assert reading.damage == ""
    domains = events.vcpu[events.kind == XenEventKind.SWITCH] >> 16
    found, counts = np.unique(domains, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def test_an_enlarged_trace_is_a_trace(tmp_path: Path) -> None:
    """Copies follow each other in time, with a gap between them."""
    path = tmp_path / "big.bin"
    decoding.enlarge(SAMPLE, path, 3 * SAMPLE.stat().st_size)
    events, reading = xentrace.load(path)
    one, single = xentrace.load(SAMPLE)
    assert len(events) == 3 * len(one)
    assert reading.damage == ""
    assert reading.disordered == 0
    assert reading.lost == 2 * 2
    assert reading.records == 3 * single.records + 2 * 2 * 2


@pytest.mark.system
@pytest.mark.timeout(600)
def test_scheduler_switches_agree(tmp_path: Path) -> None:
    """Counts for each domain agree exactly, for a measured trace and for one of many copies."""
    if not xenalyze.installed() and platform.machine() != "x86_64":
        pytest.skip("xenalyze comes from a package for amd64, but this machine is not amd64")
    program = xenalyze.find(Workshop(None, Progress(quiet=True), Lock()).toolchain)
    path = tmp_path / "big.bin"
    decoding.enlarge(SAMPLE, path, 5_000_000)
    for file in (SAMPLE, path):
        theirs = xenalyze.switches(program, file, decoding.FREQUENCY)
        assert theirs == switches(file)
        assert len(theirs) == 4
