"""What can be made for a first start while Python's packages are still being installed.

Nothing but Python's own library may be imported here.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.bundle.file import opened
from lab.errors import LabError
from lab.model import Architecture
from lab.packages import lock
from lab.progress import Progress
from lab.util import files
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


def unpack_wheels(file: Path, into: Path) -> bool:
    """Put the wheels of a bundle into a folder, verified; whether there are any.

    Raises:
        BundleError: it is not a bundle, or a wheel is damaged.
    """
    with opened(file) as bundle:
        found = [one for one in bundle.contents.members if one.name.startswith("python/")]
        bundle.verify(frozenset(one.name for one in found))
        for one in found:
            files.write_atomic(into / Path(one.name).name, bundle.read(one), durable=False)
    return bool(found)
