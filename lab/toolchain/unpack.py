"""Unpacks package files into a tree, several at once. Leaves out what the recipe leaves out."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lab.progress import Amount, current
from lab.toolchain import bootstrap, recipe
from lab.util import process, together


def unpack(debs: Sequence[Path], tree: Path, left_out: Sequence[str] = recipe.PRUNED) -> None:
    """Unpack packages as dpkg does: links to folders stay links. Files belong to the caller.

    base-files comes first, because it has the links of the merged /usr. The order of the others
    does not matter, because the packages of a release share no files.

    Raises:
        ToolchainError: a package cannot be unpacked.
    """
    tree.mkdir(parents=True, exist_ok=True)
    done, guard = [0], threading.Lock()
    amount = Amount(sum(deb.stat().st_size for deb in debs))

    def one(deb: Path) -> None:
        _unpack(deb, tree, excluded)
        with guard:
            done[0] += deb.stat().st_size

    with tempfile.TemporaryDirectory(dir=tree.parent, prefix="left-out-") as folder:
        excluded = Path(folder, "patterns")
        excluded.write_text("".join(f"./{pattern}\n" for pattern in left_out))
        with current().looking(lambda: f"unpacked {amount.words(done[0])}"):
            first = [deb for deb in debs if deb.name.startswith("base-files_")]
            for deb in first:
                one(deb)
            rest = sorted(set(debs) - {*first}, key=lambda deb: -deb.stat().st_size)
            works: list[Callable[[], None]] = [partial(one, deb) for deb in rest]
            together.all_of(works, at_once=os.cpu_count() or 1)


def _unpack(deb: Path, tree: Path, excluded: Path) -> None:
    give = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    take = ["tar", "--extract", f"--directory={tree}", "--keep-directory-symlink",
            "--no-same-owner", "--same-permissions", "--delay-directory-restore",
            "--anchored", "--wildcards", "--no-wildcards-match-slash",
            f"--exclude-from={excluded}"]  # fmt: skip
    done = process.piped(give, take, timeout=bootstrap.MAKE_SECONDS)
    if done.returncode:
        raise bootstrap.failed(list(done.argv), done)
