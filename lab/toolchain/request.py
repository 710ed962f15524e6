"""What a toolchain is to be made of, for whichever door makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.model import Toolchain
from lab.packages.lock import Pin


@dataclass(frozen=True)
class ToolchainRequest:
    """The packages that are locked; none: the newest, or any that have been made.

    ``snapshot`` is a moment at which an archive had them. ``strict``: no others. ``older`` has
    the files of locked packages that the archive has replaced, with a toolchain of newer ones;
    ``None``: they are not to be had.
    """

    locked: tuple[Pin, ...] = ()
    snapshot: str = ""
    strict: bool = False
    older: Callable[[Toolchain], Sequence[Path] | None] = lambda _: None


ANYTHING = ToolchainRequest()
