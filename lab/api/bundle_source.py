"""The bundle that ``--bundle`` or ``LAB_BUNDLE`` names: what the cache lacks comes from there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from lab.errors import BundleError
from lab.packages.lock import Lock
from lab.progress import Progress
from lab.store import cache_root

#: The variable of the environment that names a bundle.
VARIABLE = "LAB_BUNDLE"
#: Those that say which digest it must have, and with which key it must be signed.
DIGEST, KEY = "LAB_BUNDLE_SHA256", "LAB_BUNDLE_KEY"


def named() -> Path | None:
    """The bundle that the environment names."""
    name = os.environ.get(VARIABLE)
    return Path(name).absolute() if name else None


def filler(progress: Progress, pins: Lock) -> Callable[[], None]:
    """A function that fills the cache from the named bundle; it does nothing if none is named.

    Raises:
        BundleError: the file is not a bundle, is damaged, is for another lock, or is not what the
            environment says that it must be.
    """
    file = named()
    if file is None:
        return lambda: None

    def fill() -> None:
        from lab.bundle import loading
        from lab.bundle.file import opened

        digest, key = os.environ.get(DIGEST, ""), os.environ.get(KEY, "")
        if key:
            from lab.bundle import signature

            signature.check(file, key)
        with opened(file, digest) as bundle:
            if bundle.contents.lock != pins.digest:
                raise BundleError(
                    f"the bundle {file} is for another labs.lock: its digest is "
                    f"{bundle.contents.lock[:16]}, and not {pins.digest[:16]}",
                    hint="put its own lock beside labs.yaml: tar --strip-components=1 -xf "
                    f"{shlex.quote(str(file))} lab/labs.lock; or do without --bundle ({VARIABLE})",
                )
            trusted = bool(digest or key)
            if loading.missing(bundle.contents, cache_root(), trusted=trusted):
                loading.load(bundle, cache_root(), progress, trusted=trusted)

    return fill
