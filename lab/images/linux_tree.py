"""Builds dom0's kernel from a tree of Linux: the user's own, with the user's configuration.

The drivers that dom0 needs are built in, whatever the configuration says of them, so no module is
built. The tree is only read. The build's time, user and host are fixed (kbuild.rst of Linux), so
the bytes depend only on the tree, the configuration and the compiler.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from lab.errors import ImageError, UsageError
from lab.images import compiling, own_modules, recipes, timeconst
from lab.model import (
    ARM32,
    Architecture,
    Command,
    Completed,
    Dom0Spec,
    Image,
    Mount,
    Toolchain,
)
from lab.store import Store
from lab.util import kconfig, reading
from lab.util.files import copy_file, copy_tree, remove_tree, sha256_file, sha256_json, tree_hashes
from lab.util.reading import Unfit
from lab.util.terminal import escape

KIND = "dom0-linux"
#: Paths inside the toolchain while Linux is compiled. Fixed: debug information contains them.
TREE, OUT, TIMECONST = "/build/linux", "/build/out", "/build/timeconst.py"
#: Seconds that a build may take. A large configuration takes an hour on a slow machine.
BUILD = 3 * 3600.0
SHOWN = 25
#: In the folder of a build: it came to its end.
BUILT = "built"
FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
    "KBUILD_BUILD_USER": "lab",
    "KBUILD_BUILD_HOST": "lab",
    "LOCALVERSION": "",
}
#: What the lab sets on every architecture, in addition to the drivers: a machine like QEMU's, and
#: the configuration inside the kernel.
SET = (
    "XEN", "BLK_DEV_INITRD", "RD_LZ4",
    "DEVTMPFS", "TMPFS", "PROC_FS", "SYSFS", "TTY", "UNIX98_PTYS", "PRINTK", "SERIAL_AMBA_PL011",
    "SERIAL_AMBA_PL011_CONSOLE", "NET", "UNIX", "BINFMT_ELF", "BINFMT_SCRIPT", "FUTEX", "EPOLL",
    "EVENTFD", "SIGNALFD", "TIMERFD", "POSIX_TIMERS", "MULTIUSER", "VIRTIO_MENU", "TTY",
    "XEN_BALLOON", "XEN_SYS_HYPERVISOR", "IKCONFIG",
)  # fmt: skip


def build(store: Store, toolchain: Toolchain, spec: Dom0Spec, arch: Architecture = ARM32) -> Image:
    """The kernel of ``spec.source``, from the store or built now.

    Raises:
        ImageError: it does not compile (the tail has the compiler's words), it is not a tree of
            Linux, or the tree lacks an option that dom0 needs.
        UsageError: the tree is too large, or contains a FIFO or a device.
    """
    assert spec.source
    tree = spec.source
    kconfig_file = f"arch/{arch.linux.name}/Kconfig"
    if not (tree / "Kbuild").is_file() or not (tree / kconfig_file).is_file():
        raise ImageError(f"{tree} is not a tree of Linux: it has no Kbuild or no {kconfig_file}")
    configs = spec.config or tuple(path for path in [tree / ".config"] if path.is_file())
    if not configs:
        raise ImageError(
            f"{tree} has no .config, and dom0 has no 'config'",
            hint=f"config: {tree}/arch/{arch.linux.name}/configs/…_defconfig, for example",
        )
    text = "\n".join(reading.text(path, errors="replace") for path in configs)
    try:
        hashes = tree_hashes(tree)
    except Unfit as error:
        raise UsageError(f"dom0's Linux: {error}", hint=error.hint) from None
    inputs = {
        "recipe": [sha256_file(Path(__file__)), sha256_file(Path(str(timeconst.__file__)))],
        # All hashes of a tree of Linux would be larger than a manifest may be.
        "source": sha256_json(hashes),
        "config": kconfig.parse(text),
        "architecture": recipes.facts(arch),
        "set": settings(arch),
        "release": f"Linux in {tree.name}",
        "toolchain": toolchain.key,
    }

    def make_in(work: Path, out: Path) -> None:
        _Build(toolchain, tree, work, arch).all(text)
        copy_file(work / "out" / arch.linux.boots, out / arch.linux.image)
        copy_file(work / "out/.config", out / "config")

    def make(out: Path) -> None:
        work = spec.work or out / ".work"
        if spec.work and _made_again(spec.work, lambda: make_in(work, out)):
            return
        remove_tree(work)
        (work / "out").mkdir(parents=True)
        try:
            make_in(work, out)
            (work / BUILT).touch()
        finally:
            if not spec.work:
                remove_tree(work)

    return store.make(KIND, inputs, make).image(arch.linux.image)


def _made_again(work: Path, make: Callable[[], None]) -> bool:
    """Build with the objects that an earlier build left; false if it has to be built from nothing.

    The tree is the same folder each time, in which only files that differ were written.
    """
    if not (work / BUILT).is_file():
        return False
    (work / BUILT).unlink()
    try:
        make()
    except ImageError:  # perhaps because of objects of other sources
        return False
    (work / BUILT).touch()
    return True


def settings(arch: Architecture = ARM32) -> dict[str, str]:
    """The options that the lab sets in every configuration."""
    names = [f"CONFIG_{name}" for name in (*arch.linux.machine, *SET)]
    needed = (*own_modules.needed(arch), *own_modules.OPTIONS.values())
    return dict.fromkeys([*names, *needed], "y")


class _Build:
    """One build, in the folder ``work``: ``out`` has what is made, ``tree`` a copy if need be."""

    def __init__(self, toolchain: Toolchain, tree: Path, work: Path, arch: Architecture) -> None:
        self._toolchain = toolchain
        self._arch = arch
        self._tree = tree
        self._work = work

    def all(self, config: str) -> None:
        """Configure and compile; leaves the kernel in ``out``."""
        if (self._tree / ".config").exists() or (self._tree / "include/config").exists():
            # Linux refuses to build elsewhere from a tree in which it was built.
            remove_tree(self._work / "tree")
            copy_tree(self._tree, self._work / "tree")
            self._tree = self._work / "tree"
            self._make("mrproper", into="")
        wanted = settings(self._arch)
        lines = "".join(f"{name}={value}\n" for name, value in wanted.items())
        (self._work / "out/.config").write_text(f"{config}\n{lines}")
        self._make("olddefconfig")
        have = kconfig.parse(reading.text(self._work / "out/.config"))
        missing = [name for name, value in wanted.items() if have.get(name) != value]
        if missing:
            raise ImageError(
                f"dom0's Linux: this tree does not take {', '.join(missing)}",
                hint="dom0 needs them; no such option, or one that it depends on is not set",
            )
        self._make(f"-j{os.cpu_count() or 1}", self._arch.linux.image)

    def _make(self, *targets: str, into: str = f"O={OUT}") -> None:
        fixed = [f"{name}={value}" for name, value in FIXED.items()]
        argv = ["make", "--no-print-directory", "-C", TREE, *([into] if into else []),
                f"ARCH={self._arch.linux.name}", f"CROSS_COMPILE={self._arch.compiler}", *fixed,
                f"filechk_gentimeconst=python3 {TIMECONST} $(CONFIG_HZ)", *targets]  # fmt: skip
        mounts = [
            Mount(self._work / "out", OUT, writable=True),
            Mount(self._tree, TREE, writable=self._tree.parent == self._work),
            Mount(Path(str(timeconst.__file__)), TIMECONST),
        ]
        command = Command(argv, mounts, timeout=BUILD)
        compiling.run(self._toolchain, "dom0's Linux", command, refused=ImageError, words=_words)


def _words(done: Completed) -> str:
    """The lines from shortly before the first error on: make goes on for a while after an error."""
    lines = (done.stderr or done.stdout).decode(errors="replace").splitlines()
    errors = [i for i, line in enumerate(lines) if re.search(r"error:|\*\*\* |undefined ref", line)]
    start = max(0, errors[0] - 2) if errors else max(0, len(lines) - SHOWN)
    return "\n".join(escape(line) for line in lines[start : start + SHOWN])
