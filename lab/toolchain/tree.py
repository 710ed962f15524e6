"""The Debian tree of the rootfs door: made once by mmdebstrap, kept in the cache.

mmdebstrap only downloads, checks signatures and unpacks (``--variant=extract``): no maintainer
script runs and nothing needs root, so an ordinary user gets the same tree as root, without
subordinate ids. The few links that the scripts would have made are in the recipe.

``<cache>/toolchain/<key>/`` holds ``tree/`` and ``manifest.json``, which is written last, in
a temporary folder that is renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab.errors import ToolchainError
from lab.model import Completed
from lab.toolchain import recipe
from lab.util import debian, files, process
from lab.util.terminal import escape_lines

Progress = Callable[[str], None]

#: Download (300 MB) and unpacking (1.7 GB, most of it thrown away again).
MAKE_SECONDS = 1800.0
NEEDED_BYTES = 3 << 30

#: Drops what is not the main archive from the sources that mmdebstrap writes by itself.
_MAIN_ONLY = (
    r"""--setup-hook=sed -i -E '/ [a-z]+-(updates|security) /d' "$1/etc/apt/sources.list" """
)

#: Words of apt and mmdebstrap, and what to do about them.
_HINTS = (
    ("NO_PUBKEY|not signed|keyring", "install the package debian-archive-keyring"),
    ("No space left", "free some disk, or set LAB_CACHE to a folder with 3 GB of room"),
    ("resolv|onnect|Failed to fetch|timed out", "the Debian archive is out of reach: check the "
     "network, or the proxy in the environment or in apt's configuration"),
    ("Unable to locate", "dockerfiles/packages names a package that the suite does not have"),
)  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A whole tree and how it came to be. ``packages`` maps a name to its deb's identity."""

    path: Path
    key: str
    origin: str
    size: int
    packages: Mapping[str, Mapping[str, Any]]


def find(cache: Path) -> Tree | None:
    """The tree of the present recipe, if it has been made."""
    folder = cache / "toolchain" / recipe.recipe_key()
    try:
        data = json.loads((folder / "manifest.json").read_text())
        return Tree(folder / "tree", data["key"], data["origin"], data["size"], data["packages"])
    except (OSError, ValueError, KeyError):
        return None


def make(cache: Path, progress: Progress) -> Tree:
    """The tree of the present recipe; made now if need be. One maker at a time.

    Raises:
        ToolchainError: it could not be made; nothing is left of the attempt.
    """
    parent = cache / "toolchain"
    told = "toolchain: another command is making it, waiting for that one"
    with files.locked(parent / ".lock", lambda: progress(told)) as lock:
        if tree := find(cache):
            return tree
        _sweep(parent)
        _check_room(parent)
        work = Path(tempfile.mkdtemp(dir=parent, prefix=".new-"))
        try:
            work.chmod(0o755)
            _fill(work, lock, progress)
            final = parent / recipe.recipe_key()
            files.remove_tree(final)
            work.rename(final)
        except BaseException:
            files.remove_tree(work)
            raise
    made = find(cache)
    assert made is not None
    return made


def _fill(work: Path, lock: int, progress: Progress) -> None:
    began = time.monotonic()
    tree = work / "tree"
    address = debian.archive_of_this_machine()
    progress(f"toolchain: unpacking Debian {recipe.SUITE} (once, about half a minute)")
    bootstrap(tree, address, lock)
    packages = _packages(tree)
    progress(f"toolchain: {len(packages)} packages, leaving out what nobody needs")
    _prune(tree)
    _finish(tree)
    manifest = {
        "key": files.sha256_json({name: pin["sha256"] for name, pin in packages.items()}),
        "suite": recipe.SUITE,
        "origin": f"mmdebstrap {recipe.SUITE} from {address or 'its default archive'}",
        "size": _disk_usage(tree),
        "seconds": round(time.monotonic() - began, 1),
        "packages": packages,
    }
    files.write_atomic(work / "manifest.json", json.dumps(manifest, indent=1))


def bootstrap_command(
    target: Path, address: str | None, names: Sequence[str] | None = None
) -> list[str]:
    """The command line of mmdebstrap. ``~E`` (essential) needs an ``--include`` of its own."""
    line = [
        "mmdebstrap", "--mode=chrootless", "--variant=extract",
        f"--architectures={recipe.ARCHITECTURE}",
        "--skip=cleanup/apt/cache", "--include=?essential",
        f"--include={','.join(names or recipe.package_list())}",
    ]  # fmt: skip
    line += [f"--aptopt={proxy}" for proxy in debian.proxies_of_this_machine()]
    if address:
        return [*line, recipe.SUITE, str(target), f"deb {address} {recipe.SUITE} main"]
    return [*line, _MAIN_ONLY, recipe.SUITE, str(target)]


def bootstrap(
    target: Path, address: str | None, lock: int, names: Sequence[str] | None = None
) -> None:
    """Run mmdebstrap for a folder or a tarball with ``names`` (``None``: the whole list).

    It holds the lock too: should we be killed, nobody sweeps under it.

    Raises:
        ToolchainError: it failed.
    """
    line = bootstrap_command(target, address, names)
    try:
        done = process.run(line, timeout=MAKE_SECONDS, keep_fds=[lock])
    except process.TimedOut as late:
        done = late.completed
    if done.returncode:
        raise _failed(line, done)


def _failed(line: list[str], done: Completed) -> ToolchainError:
    text = done.stderr.decode(errors="replace")
    return ToolchainError(
        "the toolchain could not be made",
        command=shlex.join(line),
        tail=escape_lines(text, last=12),
        hint=hint_for(text) or "run the command by hand, or `inv doctor`",
    )


def hint_for(text: str) -> str:
    """What to do about words of apt or mmdebstrap; empty if that is not known."""
    return next((hint for words, hint in _HINTS if re.search(words, text)), "")


def _packages(tree: Path) -> dict[str, dict[str, Any]]:
    """Every package that was unpacked, from the file names that apt gave them."""
    found = {}
    for deb in sorted((tree / "var/cache/apt/archives").glob("*.deb")):
        name, version, arch = unquote(deb.stem).split("_")
        found[name] = {
            "version": version,
            "arch": arch,
            "sha256": files.sha256_file(deb),
            "size": deb.stat().st_size,
        }
    return found


def _prune(tree: Path) -> None:
    for pattern in recipe.PRUNED:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                files.remove_tree(path)
            else:
                path.unlink()


def _finish(tree: Path) -> None:
    """What the maintainer scripts would have done, as far as anything here needs it."""
    for name, target in recipe.LINKS:
        link = tree / name
        if not link.exists() and (link.parent / target).exists():
            link.symlink_to(target)
    for name in ("passwd", "group"):
        master = tree / "usr/share/base-passwd" / f"{name}.master"
        files.write_atomic(tree / "etc" / name, master.read_bytes())
    certificates = sorted((tree / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = b"".join(path.read_bytes() for path in certificates)
    files.write_atomic(tree / "etc/ssl/certs/ca-certificates.crt", bundle)
    for name in ("etc/resolv.conf", "etc/hosts"):
        (tree / name).unlink(missing_ok=True)
        files.write_atomic(tree / name, "")
    for name in ("etc/passwd", "etc/group", "etc/resolv.conf", "etc/hosts"):
        (tree / name).chmod(0o644)


def _sweep(parent: Path) -> None:
    """Remove what interrupted makers left. The caller holds the lock: no other is at work."""
    for left in parent.glob(".new-*"):
        files.remove_tree(left)


def _check_room(parent: Path) -> None:
    free = os.statvfs(parent)
    if free.f_bavail * free.f_frsize < NEEDED_BYTES:
        raise ToolchainError(
            f"too little disk for the toolchain: {parent} has "
            f"{(free.f_bavail * free.f_frsize) >> 20} MB free, {NEEDED_BYTES >> 20} MB are needed",
            hint="free some, or set LAB_CACHE to a folder elsewhere",
        )


def _disk_usage(tree: Path) -> int:
    seen = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            stat = (Path(folder) / name).lstat()
            seen[stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())
