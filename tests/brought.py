"""Programs that tests need and this machine may lack. They come from packages, in a separate tree.

The tree is made like the toolchain, without root, once, in the cache. It has the newest packages:
what tests say about a report does not depend on the browser's version.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.model import Command, Completed, Mount
from lab.store import cache_root
from lab.toolchain import index, provide, recipe
from lab.toolchain.rootfs import TO_ENTER, TO_MAKE, RootfsToolchain
from lab.toolchain.tree_cache import CachedTree
from lab.toolchain.unpack import unpack
from lab.util import debian, files, process

#: A browser without a window (174 MB of packages), and the names it has on a machine.
CHROMIUM = ("chromium-headless-shell", "fonts-dejavu-core")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: What its wrapper, a shell script, starts.
BROUGHT = "/usr/lib/chromium/chromium-headless-shell"
#: What signs an archive.
GPG = ("gpg", "gpg-agent")


def browse(
    arguments: Sequence[str], folder: Path, *, env: Mapping[str, str], timeout: float
) -> Completed:
    """Run Chromium: the one of this machine, or else one from a package. It can write only
    ``folder``."""
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return process.run([found, *arguments], env=env, timeout=timeout)
    return run(CHROMIUM, [BROUGHT, *arguments], folder, env=env, timeout=timeout)


def run(
    packages: Sequence[str], argv: Sequence[str], folder: Path,
    *, env: Mapping[str, str], timeout: float = 60,
) -> Completed:  # fmt: skip
    """Run a program from packages in their tree. It sees ``folder`` under the same path."""
    mounts = [Mount(folder, str(folder), writable=True)]
    return tree(packages).run(Command(argv, mounts=mounts, env=env, timeout=timeout), check=False)


def tree(packages: Sequence[str]) -> RootfsToolchain:
    """The tree with the packages and everything that they need. It is made now if it is missing;
    only one process makes it at a time.

    Raises:
        ToolchainError: the archive is out of reach.
    """
    parent = cache_root() / "tests"
    final = parent / f"{packages[0]}-{files.sha256_json([recipe.SUITE, *packages])[:16]}"
    with files.locked(parent / ".lock") as lock:
        for left in parent.glob(".new-*"):
            files.remove_tree(left)
        if not (final / "manifest.json").is_file():
            _make(final, packages, lock)
    return RootfsToolchain(CachedTree(final / "tree", final.name, "tests", 0, {}))


def _make(final: Path, packages: Sequence[str], lock: int) -> None:
    provide.ensure(TO_MAKE | TO_ENTER, print)
    files.remove_tree(final)
    work = Path(tempfile.mkdtemp(dir=final.parent, prefix=".new-"))
    try:
        work.chmod(0o755)
        found = index.read(work / "index", debian.archive_of_this_machine(), lock)
        unpack(found.fetch(packages), work / "tree", left_out=())
        files.remove_tree(work / "index")
        for name in ("var", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            files.remove_tree(work / "tree" / name)
        files.write_atomic(work / "manifest.json", json.dumps([*packages]))
        work.rename(final)
    finally:
        files.remove_tree(work)
