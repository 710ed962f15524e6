"""What can be made for a first start while Python's packages are still being installed.

Nothing but Python's own library may be imported here.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.errors import LabError
from lab.packages import lock
from lab.progress import Progress
from lab.util.environment import switched_on
from lab.workshop.provision import KERNEL, PLATFORM, Supplies


def make_toolchain(labs: Path, progress: Progress) -> None:
    """Make the toolchain, and fetch the packages of the images, for a labs file.

    Nothing that fails here is an error: the command that comes next tries again, and reports it.
    """
    with contextlib.suppress(LabError, OSError, ImportError):
        pins = lock.load(lock.place(labs))
        strict = switched_on("LAB_LOCKED")
        supplies = Supplies(None, progress, pins, strict=strict)
        supplies.prepare([PLATFORM, KERNEL])
