"""Which files of a source tree of Xen make dom0's tools, and a folder that has exactly them.

The folder is kept between builds, with what was compiled in it. Only where make can be trusted
to see what changed is it used again: if the contents of C files below ``tools/`` changed, and
nothing else. Anything else begins with an empty folder. So the outcome is that of a clean build.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from lab.errors import ImageError
from lab.images.kernel_kinds import ELF_MAGIC
from lab.util import files, reading

#: What the tools are built from. Of ``xen/``: the public interface, and what they compile
#: themselves or read a version from. The rest of the hypervisor may change as it likes.
PARTS = (
    "Config.mk", "config", "configure", "config.guess", "config.sub", "install.sh", "m4",
    "version.sh", "scripts", "tools", "xen/Makefile", "xen/common/libelf", "xen/include/acpi",
    "xen/include/public", "xen/include/xen/elfstructs.h", "xen/include/xen/libelf.h",
    "xen/tools", "xen/xsm/flask/policy",
)  # fmt: skip
#: Files that each tree has. Debian's source package leaves out ``tools/configure``.
_NEEDED = ("Config.mk", "xen/Makefile", "tools/configure")
#: Below ``tools/``: not for dom0, or not for ARM, and large.
LEFT_OUT = ("firmware", "qemu-xen", "qemu-xen-traditional", "qemu-xen-dir", "tests", "fuzz")
#: What a build in the user's tree leaves there.
_PRODUCTS = (".o", ".opic", ".a", ".so", ".d", ".d2", ".pyc", ".rpm")
_CONFIGURED = ("config.log", "config.status", "config.cache")

#: The time of every file in a folder that begins anew (seconds since 1970). With all the same
#: make takes nothing for older than what it is made from.
_WHEN = 1_000_000_000
_STATE = "sources.json"


def hashes(tree: Path) -> dict[str, str]:
    """The sha256 of each file that counts, by its path in the tree; links by their target.

    Raises:
        ImageError: it is no source tree of Xen, or has no tools.
        Unfit: there is something in it that is no source.
    """
    found: dict[str, str] = {}
    for part in PARTS:
        top = tree / part
        if top.is_dir():
            skip = frozenset({".git", *(LEFT_OUT if part == "tools" else ())})
            found |= {f"{part}/{path}": sha for path, sha in files.tree_hashes(top, skip).items()}
        elif top.is_file():
            found[part] = files.sha256_file(top)
    if missing := [path for path in _NEEDED if path not in found]:
        raise ImageError(
            f"{tree} has no tools of Xen: there is no {missing[0]}",
            hint="source: names the top folder, which has xen/ and tools/ in it; "
            "tools: package keeps Debian's tools",
        )
    return {path: sha for path, sha in found.items() if not _made(path, found)}


def bring(tree: Path, wanted: Mapping[str, str], work: Path) -> bool:
    """Make ``work/tree`` the sources ``wanted`` of ``tree``. Returns whether it begins anew.

    Raises:
        ImageError: a file is no longer as ``wanted`` says.
        OSError: something cannot be read or written.
    """
    state, target = work / _STATE, work / "tree"
    changed = _changed(state, wanted)
    fresh = changed is None or not target.is_dir()
    state.unlink(missing_ok=True)
    if fresh:
        files.remove_tree(target)
    else:
        _remove_linked(target)
    for path in wanted if changed is None or fresh else changed:
        with _there(tree / path):
            _copy(tree / path, target / path, fresh=fresh)
        if _hash(target / path) != wanted[path]:
            raise _moved(tree / path)
    return fresh


def check(tree: Path, wanted: Mapping[str, str], paths: Iterable[str]) -> None:
    """Check that some files of a tree are still as ``wanted`` says.

    Raises:
        ImageError: one is not.
    """
    for path in paths:
        with _there(tree / path):
            if _hash(tree / path) != wanted.get(path):
                raise _moved(tree / path)


def keep(work: Path, wanted: Mapping[str, str]) -> None:
    """Let the next build go on from this folder. Not if make was killed: then an object file
    may be half of one, and newer than its source."""
    (work / _STATE).write_text(json.dumps(dict(wanted)))


def _made(path: str, found: Mapping[str, str]) -> bool:
    """Whether a file is no source but was made: by the compiler, configure, bison or flex."""
    name = PurePosixPath(path)
    if name.suffix in _PRODUCTS or ".so." in name.name or name.name in _CONFIGURED:
        return True
    if f"{path}.in" in found:
        return True
    return name.suffix in (".c", ".h") and any(
        str(name.with_suffix(one)) in found for one in (".y", ".l")
    )


def _changed(state: Path, wanted: Mapping[str, str]) -> list[str] | None:
    """The C files that differ from those in the folder; ``None``: it must begin anew."""
    try:
        known = reading.json_file(state)
    except (OSError, ValueError):
        return None
    if not isinstance(known, dict) or known.keys() != wanted.keys():
        return None
    changed = [path for path, sha in wanted.items() if known[path] != sha]
    return changed if all(map(_plain, changed)) else None


def _plain(path: str) -> bool:
    return path.startswith("tools/") and path.endswith((".c", ".h"))


def _remove_linked(folder: Path) -> None:
    """Remove what was linked: make does not know of every library that a program depends on."""
    for path, is_link in files.tree(folder):
        if is_link or path.suffix in (".o", ".opic", ".c", ".h", ".d", ".d2"):
            continue
        with reading.binary(path) as stream:
            head = stream.read(8)
        if head.startswith(ELF_MAGIC) or head == b"!<arch>\n":
            path.unlink()


def _hash(path: Path) -> str:
    """As :func:`hashes` has it."""
    return f"-> {path.readlink()}" if path.is_symlink() else files.sha256_file(path)


@contextlib.contextmanager
def _there(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _moved(path) from None


def _moved(path: Path) -> ImageError:
    return ImageError(
        f"{path} changed while the tools were being built", hint="run the command again"
    )


def _copy(source: Path, target: Path, *, fresh: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
    else:
        files.copy_file(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    if fresh:
        os.utime(target, (_WHEN, _WHEN), follow_symlinks=False)
