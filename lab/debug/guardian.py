"""Lets a machine go on if its debugger is killed.

QEMU keeps a machine still, with its breakpoints, when a client of its gdbstub is gone. So a second
process waits for the end of ours. It acts only if ours could not say that all is well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.debug import server
from lab.errors import LabError
from lab.rundir import LabDir
from lab.util import process

#: What ours says when it has left the machine itself.
WELL = b"\n"


@contextlib.contextmanager
def watching(lab: LabDir) -> Iterator[None]:
    """Have the lab's machine go on, without breakpoints, if this process is killed in the block."""
    theirs, ours = os.pipe()
    try:
        argv = [sys.executable, "-m", __name__, str(theirs)]
        guard = process.spawn(argv, log_to=sys.stderr.buffer, keep_fds=[theirs])
    finally:
        os.close(theirs)
    try:
        os.write(ours, os.fsencode(lab.path) + b"\0")
        yield
    finally:
        with contextlib.suppress(OSError):
            os.write(ours, WELL)
        os.close(ours)
        guard.wait()


def main() -> None:
    """Wait for the end of the process at the other end of the pipe."""
    with os.fdopen(int(sys.argv[1]), "rb") as pipe:
        folder, _, rest = pipe.read().partition(b"\0")
    if folder and rest != WELL:
        with contextlib.suppress(LabError, OSError):
            asyncio.run(_release(LabDir(Path(os.fsdecode(folder)))))


async def _release(lab: LabDir) -> None:
    async with server.attached(lab) as stub:
        await stub.ask(b"?")  # QEMU forgets the breakpoints that a client left behind


if __name__ == "__main__":
    main()
