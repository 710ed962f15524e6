"""Opens a toolchain, through the door that the user chose or through the best one available.

A door is imported when it is opened: each is slow to load, and a command uses one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lab.errors import UsageError
from lab.model import Door, Toolchain
from lab.store import cache_root
from lab.toolchain import tree_cache
from lab.toolchain.request import ANYTHING, ToolchainRequest

DOORS = ("auto", *(door.value for door in Door))


def open_toolchain(
    door: str = "auto",
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    wanted: ToolchainRequest = ANYTHING,
) -> Toolchain:
    """The toolchain, through ``door``. If it must be made first, ``progress`` gets the news.

    ``wanted`` says which packages it has. The host door ignores it: it uses what this machine has.

    ``auto`` means the door in ``$LAB_DOOR``. If that is not set, it means Docker if an engine
    answers within two seconds and this user may use it, and the rootfs door otherwise. If the
    toolchain came out of a bundle, it means the rootfs door.

    Raises:
        UsageError: there is no such door.
        ToolchainError: the toolchain is not available here; the hint says what to do.
    """
    chosen = os.environ.get("LAB_DOOR", "auto") if door == "auto" else door
    root = cache or cache_root()
    if chosen == "auto":
        partial = _has_part(root, wanted)
        chosen = Door.DOCKER if not partial and _docker_answers() else Door.ROOTFS
    if chosen == Door.ROOTFS:
        from lab.toolchain.rootfs import open_rootfs

        return open_rootfs(root, progress, wanted)
    if chosen == Door.HOST:
        from lab.toolchain.host import open_host

        return open_host(progress, wanted.arch)
    if chosen == Door.DOCKER:
        from lab.toolchain.docker.door import open_docker

        return open_docker(root, progress, wanted)
    raise UsageError(f"there is no door {chosen!r}", hint=f"one of: {', '.join(DOORS)}")


def _docker_answers() -> bool:
    from lab.toolchain.docker.engine import Engine, address

    return Engine(address()).answers()


def _has_part(cache: Path, wanted: ToolchainRequest) -> bool:
    """Whether the cache has a toolchain out of a bundle, which is too small for an image."""
    found = tree_cache.find(cache, wanted.locked, wanted.arch, strict=wanted.strict)
    return found is not None and found.partial
