"""Says what a toolchain is made of. Every door takes the same request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.model import ARM32, Architecture, Toolchain
from lab.packages.lock import Pin


@dataclass(frozen=True)
class ToolchainRequest:
    """``locked`` are the packages of the lock. Without any, a toolchain that has been made is
    taken, else one of the newest packages is made.

    ``snapshot`` is a moment at which an archive had the locked packages. ``strict`` forbids any
    others. ``arch`` is the architecture of the labs. ``older`` gets the files of locked packages
    that the archive has replaced. It uses the toolchain that it is given, and returns ``None`` if
    the files are not available. ``refill`` brings into the cache what somebody has ready. It is
    called if a toolchain is missing.
    """

    locked: tuple[Pin, ...] = ()
    snapshot: str = ""
    strict: bool = False
    arch: Architecture = ARM32
    older: Callable[[Toolchain], Sequence[Path] | None] = lambda _: None
    refill: Callable[[], None] = lambda: None


ANYTHING = ToolchainRequest()
