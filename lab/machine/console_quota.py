"""Limits how much a console may print, so that a guest which never stops cannot fill the disk.

If a console says more than :func:`limit`, the run fails, and the layer is that console's. QEMU
cannot write more than :data:`ROOM` times as much to one file, even when none of our commands
runs: the kernel enforces it (setrlimit(2), ``RLIMIT_FSIZE``). Later output is lost. The stamps
of dom0 (``console/times``) tell how much that is.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from lab.errors import Dom0Error, GuestError, HypervisorError, LabError, UsageError
from lab.machine import shared_console
from lab.machine.console import Follower
from lab.machine.log_lines import tail
from lab.rundir import RunDir
from lab.util import reading, waiting
from lab.util.terminal import quote

T = TypeVar("T")

#: The environment variable with the limit (a number with K, M or G), and the default.
VARIABLE, USUAL = "LAB_CONSOLE_LIMIT", "64M"
#: A file that QEMU writes may hold this many times the limit: traces are larger than consoles.
ROOM = 16
#: The least limit of a file that QEMU writes, in bytes: a template's device state has 400 kB.
LEAST = 2 << 20
#: Seconds between two looks at the sizes, however fast a console grows.
PAUSE = 0.2

_SIZE = re.compile(r"([1-9]\d{0,8})([KMG])")
_OFFSET = re.compile(rb"[0-9]{1,18}")
_SHIFT = {"K": 10, "M": 20, "G": 30}


def limit() -> int:
    """The number of bytes that one console may say in a run.

    Raises:
        UsageError: ``LAB_CONSOLE_LIMIT`` is not a size.
    """
    text = os.environ.get(VARIABLE) or USUAL
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{VARIABLE} is {quote(text)}, which is not a size",
            hint="write a whole number and K, M or G as a capital letter, for example 64M",
        )
    return int(match[1]) << _SHIFT[match[2]]


def largest_file() -> int:
    """The number of bytes that a file which QEMU writes may hold.

    Raises:
        UsageError: ``LAB_CONSOLE_LIMIT`` is not a size.
    """
    return max(LEAST, ROOM * limit())


def check(consoles: Mapping[str, Path]) -> None:
    """Check that every console kept to the limit.

    Raises:
        GuestError, Dom0Error, HypervisorError: a console said more.
    """
    for name, path in consoles.items():
        if path.exists() and path.stat().st_size > limit():
            raise _loud(name, path)


async def guarded(step: Awaitable[T], consoles: Mapping[str, Path]) -> T:
    """The result of ``step``, unless a console says too much meanwhile.

    Raises:
        GuestError, Dom0Error, HypervisorError: a console said more than the limit.
    """
    task = asyncio.ensure_future(step)
    watch = asyncio.ensure_future(_watch(consoles))
    try:
        await asyncio.wait([task, watch], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        return await watch
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


def lost(run: RunDir) -> dict[str, int]:
    """How many bytes of guests' output were lost, by console; no entry if nothing was.

    The true number may be up to 4 KiB higher, because dom0 stamps pieces of that size.
    """
    said = _stamped(run.times_file)
    found = {
        name: said[name] - path.stat().st_size
        for name, path in run.consoles().items()
        if name in said
    }
    return {name: count for name, count in found.items() if count > 0}


async def _watch(consoles: Mapping[str, Path]) -> NoReturn:
    with Follower(consoles) as follower:
        while True:
            check(consoles)
            await follower.change(waiting.FOREVER, None)
            await asyncio.sleep(PAUSE)


def _loud(name: str, path: Path) -> LabError:
    kind = {"xen": HypervisorError, "dom0": Dom0Error}.get(name, GuestError)
    what = f"the console of {name}"
    if name == "xen" and (guest := shared_console.loudest(path.parent)):
        kind, what = GuestError, f"{guest}, whose console Xen's own carries,"
    return kind(
        f"{what} printed more than {os.environ.get(VARIABLE) or USUAL}",
        tail=tail(path),
        hint=f"find out what prints so much; to allow it, set {VARIABLE}=1G",
    )


#: The largest index of guests' output that is read, and the longest line of it, in bytes.
LARGEST_TIMES, LONGEST = 4 << 30, 256


def _stamped(times: Path) -> dict[str, int]:
    """How many bytes each guest had said when its last piece arrived (see lab-consoled.c)."""
    found: dict[str, int] = {}
    if times.exists():
        with reading.binary(times, LARGEST_TIMES) as stream:
            while line := stream.readline(LONGEST):  # it may have no end of a line
                words = line.split()
                if len(words) == 3 and _OFFSET.fullmatch(words[1]):
                    found[words[0].decode("utf-8", "replace")] = int(words[1])
    return found
