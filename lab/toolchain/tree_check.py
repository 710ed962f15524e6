"""Checks a tree of the cache before it is used. One that was altered is set aside, and made again.

Sizes and times are looked at on each use. If they differ, the contents are compared. A cache that
was copied to another place often has other times, and the same contents.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import ToolchainError
from lab.model import ARM32, Architecture
from lab.packages.lock import Pin
from lab.progress import current
from lab.toolchain import listing, tree_cache
from lab.toolchain.tree_cache import CachedTree
from lab.util import files

Progress = Callable[[str], None]

#: The manifest of a tree that was altered. Nothing uses a tree without its manifest.
ASIDE = "altered.json"


def find(
    cache: Path, progress: Progress, locked: Sequence[Pin] = (), arch: Architecture = ARM32,
    *, strict: bool = False,
) -> CachedTree | None:  # fmt: skip
    """As :func:`lab.toolchain.tree_cache.find`, but only a tree that is as it was made."""
    made = tree_cache.find(cache, locked, arch, strict=strict)
    if made is None or fits(made, progress):
        return made
    other = tree_cache.find(cache, locked, arch, strict=strict)
    return other if other and other.path != made.path and fits(other, progress) else None


def fits(made: CachedTree, progress: Progress, *, whole: bool = False) -> bool:
    """Whether a tree is as it was made. If not, it is set aside, and ``progress`` gets the news.

    ``whole``: also the files that only builds read. A tree of an older lab has no list yet. It gets
    one now.

    Raises:
        ToolchainError: a file of the tree cannot be read.
    """
    if listing.looks_the_same(made.path, whole=whole):
        return True
    try:
        with files.locked(made.path.parents[1] / ".lock"):
            return _compared(made, progress, whole=whole)
    except OSError as error:
        raise ToolchainError(
            f"the toolchain in {made.path} cannot be checked: {error.filename}: {error.strerror}",
            hint=f"remove {made.path.parent}: the next command makes it again",
        ) from error


def _compared(made: CachedTree, progress: Progress, *, whole: bool) -> bool:
    """The same under the claim: another command may have done all of it meanwhile."""
    if tree_cache.read(made.path.parent) is None:
        return False
    same = listing.looks_the_same(made.path, whole=whole)
    if same is None:
        with current().looking(lambda: "listing its files"):
            listing.make(made.path)
    elif not same:
        with current().looking(lambda: "comparing its files with their list"):
            wrong = listing.differences(made.path)
        if wrong:
            progress(f"toolchain: {few(wrong)} since it was made: it is not used any more")
            _set_aside(made)
            return False
        listing.remember(made.path)
    return True


def few(wrong: Sequence[str], most: int = 3) -> str:
    """Some differences in words, and how many more there are."""
    more = f" and {len(wrong) - most} more files differ" if len(wrong) > most else ""
    return ", ".join(wrong[:most]) + more


def _set_aside(made: CachedTree) -> None:
    manifest = made.path.parent / "manifest.json"
    with contextlib.suppress(FileNotFoundError):
        manifest.rename(manifest.with_name(ASIDE))
