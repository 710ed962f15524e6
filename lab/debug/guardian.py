"""Lets a machine go on if its debugger is killed.

QEMU keeps a machine still, with its breakpoints, when a client of its gdbstub is gone. So a second
process waits for the end of ours. It acts only if ours held the machine and could not let it go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.debug import server
from lab.errors import LabError
from lab.rundir import LabDir
from lab.util import process

#: What ours says when it has taken the machine, and when it has let it go.
TAKEN, FREE = b"t", b"f"


@contextlib.contextmanager
def watching(lab: LabDir) -> Iterator[Callable[[bool], None]]:
    """Have the lab's machine go on, without breakpoints, if this process is killed in the block,
    or leaves it without having let the machine go. Yields what must be told whether we hold it.
    """
    theirs, ours = os.pipe()
    try:
        argv = [sys.executable, "-m", __name__, str(theirs)]
        guard = process.spawn(argv, log_to=sys.stderr.buffer, keep_fds=[theirs])
    finally:
        os.close(theirs)

    def holding(held: bool) -> None:
        with contextlib.suppress(OSError):
            os.write(ours, TAKEN if held else FREE)

    try:
        os.write(ours, os.fsencode(lab.path) + b"\0")
        yield holding
    finally:
        os.close(ours)
        guard.wait()


def main() -> None:
    """Wait for the end of the process at the other end of the pipe."""
    with os.fdopen(int(sys.argv[1]), "rb") as pipe:
        folder, _, rest = pipe.read().partition(b"\0")
    if rest.endswith(TAKEN):
        with contextlib.suppress(LabError, OSError):
            asyncio.run(_release(LabDir(Path(os.fsdecode(folder)))))


async def _release(lab: LabDir) -> None:
    async with server.attached(lab) as stub:
        await stub.ask(b"?")  # QEMU forgets the breakpoints that a client left behind


if __name__ == "__main__":
    main()
