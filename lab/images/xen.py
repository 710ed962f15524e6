"""Builds the Xen hypervisor from source: Debian's source package or the user's own tree.

Only the hypervisor is built, with Xen's own makefiles and the toolchain's cross compiler, from
a copy at a fixed path. Its bytes depend only on the source, the kconfig fragments and the compiler.
Xen's makefiles would write time, host and user into it, so they get fixed values for these.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.errors import ImageError, UsageError
from lab.images import compiling, recipes
from lab.images.kept_tree import KeptTree
from lab.model import (
    ARM32,
    Architecture,
    Command,
    Completed,
    HypervisorSpec,
    Image,
    Mount,
    Package,
    Toolchain,
)
from lab.store import Store
from lab.util import kconfig, reading
from lab.util.files import copy_file, copy_tree, remove_tree, sha256_file, tree_hashes
from lab.util.reading import Unfit
from lab.util.terminal import escape

KIND = "xen"
#: Paths inside the toolchain while Xen is compiled. Fixed: debug information contains them.
WORK, TREE, PACKAGES = "/build/xen", "/build/xen/tree", "/build/packages"
#: The parts of a user's tree that the build of the hypervisor reads.
PARTS = ("Config.mk", "config", "version.sh", "xen")
#: Seconds that a build may take. On two idle processors it takes 20.
BUILD = 1200.0
#: How many lines of a failed build are shown.
SHOWN = 25

#: The build time that is given to Xen (seconds since 1970), and the values that it prints.
EPOCH = "0"
IDENTITY = {
    "XEN_BUILD_DATE": "1970-01-01",
    "XEN_BUILD_TIME": "00:00:00",
    "XEN_BUILD_HOST": "lab",
    "XEN_WHOAMI": "lab",
    "XEN_DOMAIN": "lab",
}

#: gcc 14 mistakes the use of per-CPU variables for accesses out of bounds (arch/arm/irq.c of
#: 4.17). It still warns, but the warning does not end the build.
COMPILER = "EXTRA_CFLAGS_XEN_CORE=-Wno-error=array-bounds"


def build(
    store: Store,
    toolchain: Toolchain,
    spec: HypervisorSpec,
    packages: Sequence[Package],
    arch: Architecture = ARM32,
) -> dict[str, Image]:
    """The hypervisor of ``spec``, from the store or built now.

    ``xen`` is what boots, ``xen-syms`` the ELF file for debuggers, and ``config`` the complete
    configuration that kconfig made from the fragments.

    ``packages`` are the files of the source package. They are not used with a user's own tree.

    Raises:
        ImageError: it does not compile (the tail has the compiler's words), a fragment sets an
            option that this Xen does not accept, or the tree is not a Xen source tree.
        UsageError: the tree is too large, or contains a FIFO or a device.
    """
    try:
        inputs = _inputs(toolchain, spec, packages, arch)
    except Unfit as error:
        raise UsageError(f"hypervisor {spec.name}: {error}", hint=error.hint) from None

    def make_in(work: Path, out: Path) -> None:
        _configure(toolchain, spec, work, arch)
        _compile(toolchain, spec, work, str(inputs["version"]), arch)
        for name in ("xen", "xen-syms"):
            copy_file(work / "tree/xen" / name, out / name)
        copy_file(work / "tree/xen/.config", out / "config")

    def make(out: Path) -> None:
        if _made_again(spec, inputs["source"], lambda work: make_in(work, out)):
            return
        work = spec.work or out / ".work"
        remove_tree(work)
        work.mkdir(parents=True)
        try:
            if spec.source:
                _bring(spec, work, inputs["source"])
                _run(toolchain, spec, work, _make(arch, "distclean"))
            else:
                _unpack(toolchain, spec, packages, work)
            with KeptTree(work).building(inputs["source"]):
                make_in(work, out)
        finally:
            if not spec.work:
                remove_tree(work)

    entry = store.make(KIND, inputs, make)
    return {name: entry.image(name) for name in ("xen", "xen-syms", "config")}


def _inputs(
    toolchain: Toolchain, spec: HypervisorSpec, packages: Sequence[Package], arch: Architecture
) -> dict[str, Any]:
    """The inputs that decide the bytes. A fragment's content counts, its name does not."""
    source: dict[str, str] = {package.path.name: package.sha256 for package in packages}
    if spec.source:
        source = _own_hashes(spec.source)
    return {
        "recipe": sha256_file(Path(__file__)),
        "architecture": recipes.facts(arch),
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
            f"{tree} is not a Xen source tree: it has no Config.mk or no xen/Makefile",
            hint="source: names the top folder, which has xen/ and tools/ in it",
        )
    return found


def _made_again(
    spec: HypervisorSpec, wanted: dict[str, str], make_in: Callable[[Path], None]
) -> bool:
    """Build with the objects that an earlier build left; false if it has to be built from nothing.

    What fails here is built from nothing, because objects of other sources may be the reason.
    """
    if not (spec.work and spec.source):
        return False
    kept = KeptTree(spec.work)
    if not kept.bring(spec.source, wanted) or not _notices_all(kept.tree):
        return False
    if {path: sha for path, sha in _own_hashes(kept.tree).items() if path in wanted} != wanted:
        return False
    try:
        with kept.building(wanted):
            make_in(spec.work)
    except ImageError:
        return False
    return True


def _notices_all(tree: Path) -> bool:
    """Whether Xen's makefiles compile a file again if only its options changed: since 4.16."""
    makefile = tree / "xen/scripts/Kbuild.include"
    return makefile.is_file() and "if_changed" in reading.text(makefile, errors="replace")


def _bring(spec: HypervisorSpec, work: Path, wanted: dict[str, str]) -> None:
    """Put a copy of the user's source into ``work/tree``.

    Raises:
        ImageError: it is no longer as ``wanted`` says.
    """
    assert spec.source is not None
    (work / "tree").mkdir()
    for name in PARTS:
        _copy(spec.source / name, work / "tree" / name)
    if _own_hashes(work / "tree") != wanted:
        raise ImageError(
            f"{spec.source} changed while hypervisor {spec.name} was being built",
            hint="run the command again",
        )


def _unpack(
    toolchain: Toolchain, spec: HypervisorSpec, packages: Sequence[Package], work: Path
) -> None:
    """Put Debian's patched source into ``work/tree``."""
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


def _configure(toolchain: Toolchain, spec: HypervisorSpec, work: Path, arch: Architecture) -> None:
    """Configure Xen: its defaults, overridden by the fragments. The last fragment wins.

    Raises:
        ImageError: an option of a fragment is not in the result.
    """
    fragments = [reading.text(path, errors="replace") for path in spec.kconfig]
    file = work / "tree/xen/.config"
    before = _content_and_time(file)
    file.write_text("\n".join(fragments))
    _run(toolchain, spec, work, _make(arch, "olddefconfig"))
    after = _content_and_time(file)
    if before and after and before[0] == after[0]:  # else make compiles all files again
        os.utime(file, ns=(before[1], before[1]))
    have = reading.text(file).splitlines()
    wanted = kconfig.parse("\n".join(fragments))
    missing = [f"{name}={value}" for name, value in wanted.items() if value != "n"
               and f"{name}={value}" not in have]  # fmt: skip
    if missing:
        raise ImageError(
            f"hypervisor {spec.name}: this Xen does not accept {', '.join(missing)}",
            hint="no such option, or an option that it depends on (EXPERT, UNSUPPORTED) is not set",
        )


def _content_and_time(file: Path) -> tuple[bytes, int] | None:
    try:
        return reading.data(file), file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _compile(
    toolchain: Toolchain, spec: HypervisorSpec, work: Path, version: str, arch: Architecture
) -> None:
    # Debian's patch of Xen's banner reads these two.
    debian = [f"DEB_VERSION={version}", "DEB_MAINTAINER="] if version else []
    jobs = f"-j{os.cpu_count() or 1}"
    _run(toolchain, spec, work, _make(arch, jobs, COMPILER, *debian, "build"))


def _make(arch: Architecture, *arguments: str) -> list[str]:
    fixed = [f"{name}={value}" for name, value in IDENTITY.items()]
    return ["make", "--no-print-directory", "-C", f"{TREE}/xen", f"XEN_TARGET_ARCH={arch.xen}",
            f"CROSS_COMPILE={arch.compiler}", *fixed, *arguments]  # fmt: skip


def _run(
    toolchain: Toolchain,
    spec: HypervisorSpec,
    work: Path,
    argv: list[str],
    mounts: Sequence[Mount] = (),
) -> None:
    command = Command(
        argv,
        [Mount(work, WORK, writable=True), *mounts],
        env={"SOURCE_DATE_EPOCH": EPOCH},
        timeout=BUILD,
    )
    what = f"hypervisor {spec.name}"
    compiling.run(toolchain, what, command, refused=ImageError, words=words)


def words(done: Completed) -> str:
    """The lines from shortly before the first error on: make goes on for a while after an error."""
    lines = (done.stderr or done.stdout).decode(errors="replace").splitlines()
    errors = [i for i, line in enumerate(lines) if re.search(r"error:|\*\*\* |undefined ref", line)]
    start = max(0, errors[0] - 2) if errors else max(0, len(lines) - SHOWN)
    return "\n".join(escape(line) for line in lines[start : start + SHOWN])
