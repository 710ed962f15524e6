"""The bundle that ``--bundle`` or ``LAB_BUNDLE`` names: what the cache lacks comes from there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lab.errors import BundleError
from lab.packages.lock import Lock
from lab.progress import Progress
from lab.store import cache_root

#: The variable of the environment that names a bundle.
VARIABLE = "LAB_BUNDLE"


def named() -> Path | None:
    """The bundle that the environment names."""
    name = os.environ.get(VARIABLE)
    return Path(name).absolute() if name else None


def filler(progress: Progress, pins: Lock) -> Callable[[], None]:
    """A function that fills the cache from the named bundle; it does nothing if none is named.

    Raises:
        BundleError: the file is not a bundle, is damaged, or is for another lock.
    """
    file = named()
    if file is None:
        return lambda: None

    def fill() -> None:
        from lab.bundle import loading
        from lab.bundle.file import opened

        with opened(file) as bundle:
            if bundle.contents.lock != pins.digest:
                raise BundleError(
                    f"the bundle {file} is for another labs.lock: its digest is "
                    f"{bundle.contents.lock[:16]}, and not {pins.digest[:16]}",
                    hint=f"use its own lock: tar -xf {file} lab/labs.lock; or do without "
                    f"--bundle ({VARIABLE})",
                )
            if loading.missing(bundle.contents, cache_root()):
                loading.load(bundle, cache_root(), progress)

    return fill
