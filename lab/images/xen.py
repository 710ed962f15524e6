"""Builds Xen's hypervisor for ARM32 from source: Debian's source package, or a tree of one's own.

Only the hypervisor is built, with Xen's own makefiles and the toolchain's cross compiler, from
a copy at a fixed path. Its bytes depend on the source, the kconfig fragments and the compiler
alone: Xen's makefiles would put time, host and user into it, so they are told what to put.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.errors import ImageError, UsageError
from lab.images import compiling
from lab.model import Completed, HypervisorSpec, Image, Mount, Package, Toolchain
from lab.store import Store
from lab.util import kconfig, reading
from lab.util.files import copy_file, copy_tree, remove_tree, sha256_file, tree_hashes
from lab.util.reading import Unfit
from lab.util.terminal import escape

KIND = "xen"
PREFIX = "arm-linux-gnueabihf-"
#: Where things lie while Xen is compiled. Fixed: debug information holds these paths.
WORK, TREE, PACKAGES = "/build/xen", "/build/xen/tree", "/build/packages"
#: Of a tree of the user's: what building the hypervisor reads.
PARTS = ("Config.mk", "config", "version.sh", "xen")
#: Seconds that a build may take: it takes 20 on two idle processors.
BUILD = 1200.0
#: How many lines of a failed build are shown.
SHOWN = 25

#: The time that a build says it was made at (seconds since 1970), and the words for it.
EPOCH = "0"
IDENTITY = {
    "XEN_BUILD_DATE": "1970-01-01",
    "XEN_BUILD_TIME": "00:00:00",
    "XEN_BUILD_HOST": "lab",
    "XEN_WHOAMI": "lab",
    "XEN_DOMAIN": "lab",
}

#: gcc 14 takes per-CPU variables for accesses out of bounds (arch/arm/irq.c of 4.17). The
#: warning stays, but does not end the build.
COMPILER = "EXTRA_CFLAGS_XEN_CORE=-Wno-error=array-bounds"


def build(
    store: Store, toolchain: Toolchain, spec: HypervisorSpec, packages: Sequence[Package]
) -> dict[str, Image]:
    """The hypervisor of ``spec``, from the store or built now.

    ``xen`` is what boots, ``xen-syms`` the ELF file for debuggers, ``config`` what kconfig
    made of the fragments.

    ``packages`` are the files of the source package; they are not used with a tree of one's own.

    Raises:
        ImageError: it does not compile (the compiler's words are the tail), a fragment asks
            for what this Xen does not have, or the tree is none of Xen.
        UsageError: there is something in the tree that is no source.
    """
    try:
        inputs = _inputs(toolchain, spec, packages)
    except Unfit as error:
        raise UsageError(f"hypervisor {spec.name}: {error}", hint=error.hint) from None

    def make(out: Path) -> None:
        work = out / ".work"
        work.mkdir()
        try:
            _unpack(toolchain, spec, packages, work)
            _configure(toolchain, spec, work)
            _compile(toolchain, spec, work, str(inputs["version"]))
            for name in ("xen", "xen-syms"):
                copy_file(work / "tree/xen" / name, out / name)
            copy_file(work / "tree/xen/.config", out / "config")
        finally:
            remove_tree(work)

    entry = store.make(KIND, inputs, make)
    return {name: entry.image(name) for name in ("xen", "xen-syms", "config")}


def _inputs(
    toolchain: Toolchain, spec: HypervisorSpec, packages: Sequence[Package]
) -> dict[str, Any]:
    """What decides the bytes. A fragment counts by its content, not by its name."""
    source: dict[str, str] = {package.path.name: package.sha256 for package in packages}
    if spec.source:
        source = _own_hashes(spec.source)
    return {
        "recipe": sha256_file(Path(__file__)),
        "version": "" if spec.source else packages[0].version,
        "source": source,
        "kconfig": [sha256_file(path) for path in spec.kconfig],
        "toolchain": toolchain.key,
    }


def _own_hashes(tree: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PARTS:
        part = tree / name
        if part.is_dir():
            found |= {f"{name}/{path}": sha for path, sha in tree_hashes(part).items()}
        elif part.is_file():
            found[name] = sha256_file(part)
    if "Config.mk" not in found or "xen/Makefile" not in found:
        raise ImageError(
            f"{tree} is no source tree of Xen: it has no Config.mk or no xen/Makefile",
            hint="source: is the top folder, the one with xen/ and tools/ in it",
        )
    return found


def _unpack(
    toolchain: Toolchain, spec: HypervisorSpec, packages: Sequence[Package], work: Path
) -> None:
    """The source, patched as Debian does, in ``work/tree``; of a user's tree a clean copy."""
    if spec.source:
        (work / "tree").mkdir()
        for name in PARTS:
            _copy(spec.source / name, work / "tree" / name)
        _run(toolchain, spec, work, _make("distclean"))
        return
    (dsc,) = [package.path.name for package in packages if package.path.suffix == ".dsc"]
    # Signature and checksums were checked when the package was fetched.
    argv = ["dpkg-source", "--no-check", "--extract", f"{PACKAGES}/{dsc}", TREE]
    files = [Mount(package.path, f"{PACKAGES}/{package.path.name}") for package in packages]
    _run(toolchain, spec, work, argv, files)


def _copy(source: Path, to: Path) -> None:
    if source.is_dir():
        copy_tree(source, to)
    elif source.is_file():
        shutil.copy2(source, to)


def _configure(toolchain: Toolchain, spec: HypervisorSpec, work: Path) -> None:
    """Xen's defaults with the fragments on top, the last one winning."""
    fragments = [reading.text(path, errors="replace") for path in spec.kconfig]
    (work / "tree/xen/.config").write_text("\n".join(fragments))
    _run(toolchain, spec, work, _make("olddefconfig"))
    have = reading.text(work / "tree/xen/.config").splitlines()
    wanted = kconfig.parse("\n".join(fragments))
    missing = [f"{name}={value}" for name, value in wanted.items() if value != "n"
               and f"{name}={value}" not in have]  # fmt: skip
    if missing:
        raise ImageError(
            f"hypervisor {spec.name}: this Xen does not take {', '.join(missing)}",
            hint="no such option, or one that it depends on (EXPERT, UNSUPPORTED) is not set",
        )


def _compile(toolchain: Toolchain, spec: HypervisorSpec, work: Path, version: str) -> None:
    # Debian's patch of Xen's banner reads these two.
    debian = [f"DEB_VERSION={version}", "DEB_MAINTAINER="] if version else []
    jobs = f"-j{os.cpu_count() or 1}"
    _run(toolchain, spec, work, _make(jobs, COMPILER, *debian, "build"))


def _make(*arguments: str) -> list[str]:
    fixed = [f"{name}={value}" for name, value in IDENTITY.items()]
    return ["make", "--no-print-directory", "-C", f"{TREE}/xen", "XEN_TARGET_ARCH=arm32",
            f"CROSS_COMPILE={PREFIX}", *fixed, *arguments]  # fmt: skip


def _run(
    toolchain: Toolchain,
    spec: HypervisorSpec,
    work: Path,
    argv: list[str],
    mounts: Sequence[Mount] = (),
) -> None:
    compiling.run(
        toolchain, f"hypervisor {spec.name}", argv, [Mount(work, WORK, writable=True), *mounts],
        refused=ImageError, words=words, env={"SOURCE_DATE_EPOCH": EPOCH}, within=BUILD,
    )  # fmt: skip


def words(done: Completed) -> str:
    """The lines from the first error on: make goes on for a while after it."""
    lines = (done.stderr or done.stdout).decode(errors="replace").splitlines()
    errors = [i for i, line in enumerate(lines) if re.search(r"error:|\*\*\* |undefined ref", line)]
    start = max(0, errors[0] - 2) if errors else max(0, len(lines) - SHOWN)
    return "\n".join(escape(line) for line in lines[start : start + SHOWN])
