"""What can be made for a first start while Python's packages are still being installed.

Nothing but Python's own library may be imported here.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.errors import LabError
from lab.model import Architecture
from lab.packages import lock
from lab.progress import Progress
from lab.util.environment import switched_on
from lab.workshop.provision import Supplies
from lab.workshop.questions import KERNEL, platform


def make_toolchain(labs: Path, progress: Progress, arch: Architecture) -> None:
    """Make the toolchain of an architecture, and fetch the packages of its images.

    Nothing that fails here is an error: the command that comes next tries again, and reports it.
    """
    with contextlib.suppress(LabError, OSError, ImportError):
        pins = lock.load(lock.place(labs))
        strict = switched_on("LAB_LOCKED")
        supplies = Supplies(None, progress, pins, arch, strict=strict)
        supplies.prepare([platform(arch), KERNEL])
