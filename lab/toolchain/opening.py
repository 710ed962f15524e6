"""Opens a toolchain: through the door that the user asked for, or that is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lab.errors import UsageError
from lab.model import Door, Toolchain
from lab.store import cache_root
from lab.toolchain.docker.door import open_docker
from lab.toolchain.docker.engine import Engine, address
from lab.toolchain.host import open_host
from lab.toolchain.request import ANYTHING, ToolchainRequest
from lab.toolchain.rootfs import open_rootfs

DOORS = ("auto", *(door.value for door in Door))


def open_toolchain(
    door: str = "auto",
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    wanted: ToolchainRequest = ANYTHING,
) -> Toolchain:
    """The toolchain, through ``door``; made first if need be, with ``progress`` told.

    ``wanted``: of which packages. The host door has its own, whatever is wanted.

    ``$LAB_DOOR`` decides what ``auto`` means; without it, it is Docker where an engine answers
    within two seconds and this user may use it, else the rootfs door.

    Raises:
        UsageError: there is no such door.
        ToolchainError: it cannot be had here; the hint says what to do.
    """
    chosen = os.environ.get("LAB_DOOR", "auto") if door == "auto" else door
    root = cache or cache_root()
    if chosen == "auto":
        chosen = Door.DOCKER if Engine(address()).answers() else Door.ROOTFS
    if chosen == Door.ROOTFS:
        return open_rootfs(root, progress, wanted)
    if chosen == Door.HOST:
        return open_host(progress)
    if chosen == Door.DOCKER:
        return open_docker(root, progress, wanted)
    raise UsageError(f"there is no door {chosen!r}", hint=f"one of: {', '.join(DOORS)}")
