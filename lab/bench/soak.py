"""Starts, uses, breaks and stops labs again and again, and checks that nothing grows.

After every lab it counts this process's open file descriptors and memory, the bytes on the disks,
and the processes of labs. The first few labs fill caches. Growth after that is a leak.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import rundir
from lab.api import Context, down, execute, inject, run, status, up
from lab.errors import LabError
from lab.run import live
from lab.store import cache_root
from lab.toolchain import programs_of
from lab.util import process
from lab.util.deadline import Deadline

#: The lab that is used, and its guest.
LAB = GUEST = "hello"
#: The first labs are not counted: they fill caches.
WARM_UP = 4
#: The growth that is allowed: of memory (as a ratio), of descriptors, of bytes on the disks.
MEMORY, DESCRIPTORS, DISK = 0.10, 2, 2 << 20


@dataclass(frozen=True)
class Sample:
    """The counts after a lab: open file descriptors and resident memory (bytes) of this process,
    bytes on the disks, processes of labs."""

    descriptors: int
    memory: int
    disk: int
    processes: int


@dataclass(frozen=True)
class Soaked:
    """The result. ``grew``: what grew, in words. ``failed``: labs that failed, in words."""

    labs: int
    seconds: float
    first: Sample | None
    last: Sample | None
    grew: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def flat(self) -> bool:
        return not self.grew and not self.failed

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return asdict(self) | {"flat": self.flat}


def soak(context: Context, labs: int, hours: float, say: Callable[[str], None]) -> Soaked:
    """Use at least ``labs`` labs, and more until ``hours`` have passed, in each way in turn.

    Raises:
        LabError: a lab that failed could not be stopped.
    """
    clock = Deadline(hours * 3600)
    samples: list[Sample] = []
    failed: list[str] = []
    number, kept = 0, _runs(context)
    while number < labs or (hours and not clock.passed()):
        way = WAYS[number % len(WAYS)]
        try:
            way(context)
        except (LabError, AssertionError) as error:
            failed.append(f"lab {number}, {way.__name__}: {error}")
            down(context, LAB)
        for run_ in _runs(context) - kept:  # the user's own templates stay
            shutil.rmtree(run_)
        number += 1
        if number >= WARM_UP:
            samples.append(sample())
        if number % 10 == 0:
            say(f"{number} labs after {clock.elapsed():.0f} s: {samples[-1]}")
    first, last = (samples[0], samples[-1]) if samples else (None, None)
    return Soaked(number, clock.elapsed(), first, last, tuple(grown(samples)), tuple(failed))


def grown(samples: Sequence[Sample]) -> list[str]:
    """What grew, in words: compares the last third of the samples with the second.

    The first third is ignored, because it loads everything that is needed once. The minimum of
    each third is compared, so growth that goes away again does not count.
    """
    if len(samples) < 3:
        return []
    third = len(samples) // 3
    early, late = samples[-2 * third : -third], samples[-third:]
    allowed = {
        "descriptors": DESCRIPTORS,
        "memory": int(MEMORY * min(one.memory for one in early)),
        "disk": DISK,
        "processes": 0,
    }
    found = []
    for what, more in allowed.items():
        before, after = (min(getattr(one, what) for one in part) for part in (early, late))
        if after > before + more:
            found.append(f"{what}: {before} → {after}")
    return found


def sample() -> Sample:
    """Take a sample now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    mark = f"{rundir.runtime_root()}/".encode()
    ours = [pid for pid, words in process.running() if any(mark in word for word in words)]
    return Sample(
        len(list(Path("/proc/self/fd").iterdir())),
        pages * os.sysconf("SC_PAGE_SIZE"),
        sum(_occupied(root) for root in (cache_root(), rundir.runtime_root())),
        len(ours),
    )


def _occupied(root: Path) -> int:
    """The bytes of a folder on the disk, without the toolchain, which does not change."""
    total = 0
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name != "toolchain"]
        for name in names:
            try:
                total += os.lstat(Path(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _runs(context: Context) -> set[Path]:
    folder = context.runs / LAB
    found = set(folder.iterdir()) if folder.is_dir() else set()
    return {path for path in found if not path.is_symlink()}


# ---------------------------------------------------------------- ways to use a lab


def used(context: Context) -> None:
    """Boot it, run a command in dom0, inject a guest, stop it."""
    up(context, LAB, cold=True)
    assert b"Domain-0" in execute(context, LAB, "xl list").stdout
    inject(context, LAB, GUEST)
    down(context, LAB)


def restored(context: Context) -> None:
    """Restore it from a template."""
    up(context, LAB, cold=False)
    status(context, LAB)
    down(context, LAB)


def judged(context: Context) -> None:
    """Play its scenario."""
    verdict = run(context, LAB, cold=False).report.verdict
    assert verdict.passed, verdict.reason


def killed(context: Context) -> None:
    """Kill its QEMU. The next command cleans up."""
    up(context, LAB, cold=False)
    found = live.find(context.lab_dir(LAB))
    assert found is not None
    for program in programs_of(found.record, found.lab.tag):
        program.kill()
    down(context, LAB)


def refused(context: Context) -> None:
    """Make two mistakes: start it twice, and run a program that dom0 does not have."""
    up(context, LAB, cold=False)
    for wrong in (lambda: up(context, LAB), lambda: execute(context, LAB, "nosuch")):
        try:
            wrong()
        except LabError:
            continue
        raise AssertionError("a command that should have failed did not")
    down(context, LAB)


WAYS = (used, restored, judged, killed, refused)
