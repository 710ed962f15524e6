"""dom0's tools out of a source tree of Xen: ``xl``, its libraries, the daemons.

Xen's own ``configure`` and makefiles cross-compile them, against a sysroot of the release that
dom0's other libraries are from. Their bytes depend on the tree, the sysroot and the compiler
alone. The object files stay in the cache, so that a small change takes seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ImageError, LabError, UsageError
from lab.images import compiling, interface, tool_objects, tool_sources, xen
from lab.images.interface import Interface
from lab.images.sysroot import Sysroot
from lab.model import Architecture, Command, Completed, HypervisorSpec, Mount, Toolchain, Toolstack
from lab.store import Entry, Store
from lab.util import elf_layout, files, reading
from lab.util.reading import Unfit

KIND = "xen-tools"
#: Where things lie while the tools are compiled. Fixed: some paths are in the programs.
WORK, TREE, OUT = "/build/tools", "/build/tools/tree", "/build/tools/out"
#: Seconds that a build may take: it takes 35 on two idle processors.
BUILD = 1800.0

#: What is built, below ``tools/``, in this order. Not each Xen has all of them.
FOLDERS = (
    "include", "libs", "xenstore", "xenstored", "xs-clients", "console", "helpers", "xentrace",
    "xl",
)  # fmt: skip
_LEFT_OUT = (
    "docs", "stubdom", "ocamltools", "golang", "pygrub", "xsmpolicy", "ovmf", "seabios", "ipxe",
    "rombios", "qemu-traditional", "systemd", "9pfs", "pvshim", "libfsimage", "xen",
)  # fmt: skip
CONFIGURE = (
    "./configure", "--build=x86_64-linux-gnu", "--prefix=/usr",
    "--libdir=/usr/lib", "--sysconfdir=/etc", "--localstatedir=/var", "--with-rundir=/run",
    "--enable-tools", "--with-system-qemu=/nonexistent", "--with-xenstored=xenstored",
    *(f"--disable-{name}" for name in _LEFT_OUT),
    "PKG_CONFIG=/bin/false",
)  # fmt: skip
#: The file with the version of a tree.
VERSION = "xen/Makefile"
_HERE, _RECIPE = Path(__file__), ("tools", "tool_sources")
#: In ``libs``: only the shared libraries (``TARGETS`` of libs.mk). Nothing here is linked with
#: a static one, for which each file would be compiled a second time.
_SHARED = "TARGETS=lib$(LIB_FILE_NAME).so $(PKG_CONFIG_FILE)"
#: An error of the compiler. The file is as the makefile of its folder names it.
_ERROR = re.compile(r"^(?:\./)?([\w./+-]+):\d+(?::\d+)?: (?:fatal )?error: ", re.MULTILINE)
#: Where `make install` puts programs.
_PROGRAMS = ("usr/bin", "usr/sbin", "usr/lib/xen/bin")


@dataclass(frozen=True)
class Tools:
    """Built tools. The entry has ``bin/NAME``, ``lib/SONAME`` and ``include/``."""

    entry: Entry
    version: str
    interface: Interface

    @property
    def library(self) -> str:
        """The file name of libxenctrl, which has Xen's version in it."""
        names = (Path(name).name for name in self.entry.outputs)
        return next(name for name in names if name.startswith("libxenctrl.so."))

    def described(self) -> Toolstack:
        """What a run's manifest says of them."""
        inside = {name: sha for name, sha in self.entry.outputs.items() if name[:3] != "inc"}
        return Toolstack("source", self.version, str(self.interface), files.sha256_json(inside))


def build(
    store: Store, toolchain: Toolchain, spec: HypervisorSpec, base: Sysroot, cache: Path
) -> Tools:
    """The tools of the tree of ``spec``, from the store or built now.

    ``base`` is what :func:`lab.images.sysroot.build` made. Object files stay below ``cache``.

    Raises:
        ImageError: they do not compile (the compiler's words are the tail), or the tree has none.
        UsageError: there is something in the tree that is no source.
    """
    assert spec.source is not None
    tree = spec.source
    try:
        sources = tool_sources.hashes(tree)
    except Unfit as error:
        raise UsageError(f"hypervisor {spec.name}: {error}", hint=error.hint) from None
    spoken, own = interface.of_tree(tree), version(tree)
    tool_sources.check(tree, sources, (VERSION, *interface.HEADERS))
    inputs: dict[str, object] = {
        "recipe": [files.sha256_file(_HERE.with_name(f"{name}.py")) for name in _RECIPE],
        "version": own,
        "interface": str(spoken),
        "sources": files.sha256_json(sources),
        "sysroot": base.key,
        "toolchain": toolchain.key,
    }
    maker = _Maker(toolchain, spec.name, base, sources)

    def make(out: Path) -> None:
        made_of = [str(tree.resolve()), inputs["recipe"], base.key, toolchain.key]
        with tool_objects.folder(cache, made_of) as work:
            _make(maker, tree, work)
            _take(maker, work, out)
            files.remove_tree(work / "out")

    return Tools(store.make(KIND, inputs, make), own, spoken)


def version(tree: Path) -> str:
    """The version that a tree gives itself, such as ``4.20.4`` or ``4.23-unstable``."""
    text = reading.text(tree / VERSION, errors="replace")
    parts = []
    for name in ("VERSION", "SUBVERSION", "EXTRAVERSION"):
        found = re.search(rf"XEN_{name}\s*\??=\s*([^\s$]*)", text)
        parts.append(found[1] if found else "")
    return f"{parts[0]}.{parts[1]}{parts[2]}"


@dataclass(frozen=True)
class _Maker:
    """Runs what compiles, in the toolchain with the sysroot laid over it."""

    toolchain: Toolchain
    name: str
    base: Sysroot
    sources: Mapping[str, str]

    @property
    def arch(self) -> Architecture:
        return self.base.arch

    @property
    def compiler(self) -> str:
        """As the compiler of the sysroot's release has it: newer ones of 32-bit ARM make time_t
        64 bits wide."""
        return f"CC={self.arch.compiler}gcc -U_TIME_BITS -U_FILE_OFFSET_BITS"

    def configure(self, work: Path) -> None:
        self.run(work, *CONFIGURE, f"--host={self.arch.debian.triplet}", self.compiler)

    def run(self, work: Path, *argv: str, cwd: str = TREE) -> None:
        mounts = [Mount(work, WORK, writable=True), *self.base.mounts]
        env = {"SOURCE_DATE_EPOCH": xen.EPOCH}
        command = Command(argv, mounts, cwd=cwd, env=env, timeout=BUILD)
        what = f"the toolstack of hypervisor {self.name}"
        compiling.run(self.toolchain, what, command, refused=ImageError, words=self._words)

    def make(self, work: Path, folder: str, *goals: str) -> None:
        self.run(
            work, "make", "--no-print-directory", f"-j{os.cpu_count() or 1}",
            "-C", f"{TREE}/tools/{folder}", f"XEN_TARGET_ARCH={self.arch.xen}",
            f"CROSS_COMPILE={self.arch.compiler}", self.compiler, *goals,
        )  # fmt: skip

    def _words(self, done: Completed) -> str:
        """What the compiler says, from its first error on. The error has its path in the tree."""
        words = xen.words(done)
        if not (error := _ERROR.search(words)):
            return words
        name = re.sub(r"^(\.\./)+", "", error[1].removeprefix(f"{TREE}/"))
        found = [path for path in self.sources if f"/{path}".endswith(f"/{name}")]
        path = found[0] if len(found) == 1 else error[1]
        return path + words[error.end(1) :]


def _make(maker: _Maker, tree: Path, work: Path) -> None:
    if tool_sources.bring(tree, maker.sources, work):
        _mark(work / "tree")
        maker.configure(work)
    _no_archives(work / "tree/tools/libs")
    files.remove_tree(work / "out")
    try:
        for folder in FOLDERS:
            if (work / "tree/tools" / folder).is_dir():
                more = [_SHARED] if folder == "libs" else []
                maker.make(work, folder, "all", *more)
                maker.make(work, folder, "install", f"DESTDIR={OUT}", *more)
    except LabError as error:
        if isinstance(error, ImageError):  # the compiler's own: it left nothing half made
            tool_sources.keep(work, maker.sources)
        raise
    tool_sources.keep(work, maker.sources)


def _mark(tree: Path) -> None:
    """An empty file by which Xen's configure knows its tree (AC_CONFIG_SRCDIR)."""
    mark = tree / "xen/common/kernel.c"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _no_archives(libs: Path) -> None:
    """Empty files in place of the static libraries, for `make install`."""
    for folder in libs.iterdir():
        if folder.is_dir():
            name = "libxlutil.a" if folder.name == "util" else f"libxen{folder.name}.a"
            (folder / name).touch()


def _take(maker: _Maker, work: Path, out: Path) -> None:
    """Programs, libraries and headers of an installation, without symbols."""
    taken: list[Path] = []
    (out / "bin").mkdir()
    (out / "lib").mkdir()
    for folder in _PROGRAMS:
        for path in sorted((work / "out" / folder).iterdir()):
            if path.is_file() and _is_elf(path):
                taken.append(out / "bin" / path.name)
                files.copy_file(path, taken[-1])
    for path in sorted((work / "out/usr/lib").glob("lib*.so.*")):
        if path.is_symlink():  # SONAME → the file with the whole version
            taken.append(out / "lib" / path.name)
            files.copy_file(path.resolve(), taken[-1])
    files.copy_tree(work / "out/usr/include", out / "include")
    names = [f"{WORK}/{path.relative_to(out)}" for path in taken]
    strip = [
        f"{maker.arch.compiler}strip",
        "--enable-deterministic-archives",
        "--strip-all",
        *names,
    ]
    maker.toolchain.run(Command(strip, [Mount(out, WORK, writable=True)]))
    for path in taken:
        path.chmod(0o755)


def _is_elf(path: Path) -> bool:
    with reading.binary(path) as stream:
        return elf_layout.is_elf(stream.read(64))
