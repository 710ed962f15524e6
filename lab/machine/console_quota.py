"""How much a console may say: whoever runs a scenario is told, and the disk never fills.

A guest may print for ever. A run whose console says more than :func:`limit` failed, and its
layer is that console's. QEMU itself cannot write more than :data:`ROOM` times as much into one
file, whether anybody of us lives or not: the kernel holds it to that (setrlimit(2),
``RLIMIT_FSIZE``). What is said after that is not kept; how much that is follows from the stamps
that dom0 gives (``console/times``).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from lab.errors import Dom0Error, GuestError, HypervisorError, LabError, UsageError
from lab.machine.console import Follower
from lab.machine.log_lines import tail
from lab.rundir import RunDir
from lab.util import reading, waiting
from lab.util.terminal import quote

T = TypeVar("T")

#: Names the limit, a number with K, M or G; and what holds without it.
VARIABLE, USUAL = "LAB_CONSOLE_LIMIT", "64M"
#: One file that QEMU writes may hold so many times the limit: traces are larger than consoles.
ROOM = 16
#: But it holds at least so many bytes: a template's device state is some 400 kB.
LEAST = 2 << 20
#: Sizes are looked at no more often than this, in seconds, however fast a console grows.
PAUSE = 0.2

_SIZE = re.compile(r"([1-9]\d{0,8})([KMG])")
_OFFSET = re.compile(rb"[0-9]{1,18}")
_SHIFT = {"K": 10, "M": 20, "G": 30}


def limit() -> int:
    """Bytes that one console may say in a run.

    Raises:
        UsageError: ``LAB_CONSOLE_LIMIT`` is not a size.
    """
    text = os.environ.get(VARIABLE) or USUAL
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{VARIABLE} is {quote(text)}, which is no size", hint="for example: 64M")
    return int(match[1]) << _SHIFT[match[2]]


def largest_file() -> int:
    """Bytes that one file of QEMU's may hold.

    Raises:
        UsageError: as above.
    """
    return max(LEAST, ROOM * limit())


def check(consoles: Mapping[str, Path]) -> None:
    """Nothing, as long as every console kept to the limit.

    Raises:
        GuestError, Dom0Error, HypervisorError: one said more.
    """
    for name, path in consoles.items():
        if path.exists() and path.stat().st_size > limit():
            raise _loud(name, path)


async def guarded(step: Awaitable[T], consoles: Mapping[str, Path]) -> T:
    """The result of ``step``, unless a console says too much meanwhile.

    Raises:
        GuestError, Dom0Error, HypervisorError: it did.
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
    """Bytes that guests said and that are not kept, by console; no entry: everything is.

    What dom0 stamped last may have been up to 4 KiB more than is counted here.
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
    return kind(
        f"the console of {name} said more than {os.environ.get(VARIABLE) or USUAL}",
        tail=tail(path),
        hint=f"what prints so much? {VARIABLE}=1G would let it go on",
    )


#: Bytes that the index of what guests said may have, and a line of it.
LARGEST_TIMES, LONGEST = 4 << 30, 256


def _stamped(times: Path) -> dict[str, int]:
    """How many bytes each guest had said when its last piece arrived (see lab-consoled.c)."""
    found: dict[str, int] = {}
    if times.exists():
        with reading.binary(times, LARGEST_TIMES) as stream:
            while line := stream.readline(LONGEST):  # it need not have any end of a line
                words = line.split()
                if len(words) == 3 and _OFFSET.fullmatch(words[1]):
                    found[words[0].decode("utf-8", "replace")] = int(words[1])
    return found
