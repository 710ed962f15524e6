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
from lab.errors import BusyError, LabError, UsageError
from lab.run import claim, live
from lab.rundir import LabDir
from lab.store import cache_root
from lab.toolchain import programs_of
from lab.util import process
from lab.util.deadline import Deadline

#: A copy of this lab is used (``hello-1``, …), and its guest.
LAB = GUEST = "hello"
#: The most copies that a lab can have (lab.config).
MOST_COPIES = 9999
#: The first labs are not counted: they fill caches.
WARM_UP = 4
#: The growth that is allowed: of memory (as a ratio), of descriptors, of bytes on the disks.
MEMORY, DESCRIPTORS, DISK = 0.10, 2, 2 << 20


@dataclass(frozen=True)
class Sample:
    """The counts after a lab: open file descriptors and resident memory (bytes) of this process,
    bytes on the disks, processes of the lab."""

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

    All of them have one name, that of a copy which nobody else uses. Other labs are left alone.

    Raises:
        LabError: a lab that failed could not be stopped.
    """
    clock, name = Deadline(hours * 3600), free_copy(context)
    samples: list[Sample] = []
    failed: list[str] = []
    number = 0
    while number < labs or (hours and not clock.passed()):
        way = WAYS[number % len(WAYS)]
        try:
            way(context, name)
            shutil.rmtree(context.runs / name)
        except BusyError as error:  # it is somebody else's by now
            failed.append(f"lab {number}, {way.__name__}: {error}")
            name = free_copy(context)
        except (LabError, AssertionError) as error:
            failed.append(f"lab {number}, {way.__name__}: {error}")
            down(context, name)
            shutil.rmtree(context.runs / name, ignore_errors=True)
        number += 1
        if number >= WARM_UP:
            samples.append(sample(context.lab_dir(name)))
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


def free_copy(context: Context) -> str:
    """The name of a copy of :data:`LAB` that does not run and has no runs.

    Raises:
        UsageError: there is none left.
    """
    for number in range(1, MOST_COPIES + 1):
        name = f"{LAB}-{number}"
        lab, used = context.lab_dir(name), (context.runs / name).exists()
        if not used and live.find(lab) is None and claim.maker(lab) is None:
            return name
    raise UsageError(f"all copies of lab {LAB} are in use or have runs in {context.runs}")


def sample(lab: LabDir) -> Sample:
    """Take a sample now. Of the processes, only those of this lab count."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    mark = f"{lab.path}/".encode()
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


# ---------------------------------------------------------------- ways to use a lab


def used(context: Context, lab: str) -> None:
    """Boot it, run a command in dom0, inject a guest, stop it."""
    up(context, lab, cold=True)
    assert b"Domain-0" in execute(context, lab, "xl list").stdout
    inject(context, lab, GUEST)
    down(context, lab)


def restored(context: Context, lab: str) -> None:
    """Restore it from a template."""
    up(context, lab, cold=False)
    status(context, lab)
    down(context, lab)


def judged(context: Context, lab: str) -> None:
    """Play its scenario."""
    verdict = run(context, lab, cold=False).report.verdict
    assert verdict.passed, verdict.reason


def killed(context: Context, lab: str) -> None:
    """Kill its QEMU. The next command cleans up."""
    up(context, lab, cold=False)
    found = live.find(context.lab_dir(lab))
    assert found is not None
    for program in programs_of(found.record, found.lab.tag):
        program.kill()
    down(context, lab)


def refused(context: Context, lab: str) -> None:
    """Make two mistakes: start it twice, and run a program that dom0 does not have."""
    up(context, lab, cold=False)
    for wrong in (lambda: up(context, lab), lambda: execute(context, lab, "nosuch")):
        try:
            wrong()
        except LabError:
            continue
        raise AssertionError("a command that should have failed did not")
    down(context, lab)


WAYS = (used, restored, judged, killed, refused)
