"""The recipe of the toolchain: Debian suite, packages, files that are left out, links."""

from __future__ import annotations

from lab.model import ARCHITECTURES, ARM32, Architecture
from lab.util import files
from lab.util.resources import resource

SUITE = "trixie"
ARCHITECTURE = "amd64"
#: Increase it when the way of making a tree changes.
VERSION = 1

#: What is used with QEMU and the compilers: each program → its Debian package.
_MORE_PROGRAMS = {"make": "make", "dtc": "device-tree-compiler"}

#: Files that are left out: no program in the toolchain reads them, and they are a third of its
#: size. gcc ships bare-metal libraries for 24 kinds of core. Only those for ARMv7-A stay (and
#: ``nofp``, the family's default), because Xen's guests run on a Cortex-A15.
_PRUNED = (
    "usr/share/man", "usr/share/doc", "usr/share/info", "usr/share/locale",
    "usr/share/lintian", "usr/share/bash-completion",
    "usr/bin/*lto-dump*", "usr/bin/{QEMU}",
    "usr/lib/gcc/arm-none-eabi/*/plugin",
    "usr/lib/x86_64-linux-gnu/lib?san.so*", "usr/lib/x86_64-linux-gnu/lib??san.so*",
    "usr/{TRIPLET}/lib/libasan.so*",
    *(
        f"{folder}/{kept}"
        for folder in ("usr/lib/gcc/arm-none-eabi/*", "usr/lib/arm-none-eabi/newlib")
        for kept in ("arm", "thumb/v[68]*", "thumb/v7", "thumb/v7[+-]fp*", "thumb/v7-[mr]*",
                     "thumb/v7e-m*")
    ),
    "usr/lib/gcc/arm-none-eabi/*/thumb/v7+fp", "usr/lib/arm-none-eabi/newlib/thumb/v7+fp",
    "var/cache/apt", "var/lib/apt/lists", "root", "tmp", "run", "home",
)  # fmt: skip

#: Links that maintainer scripts would make, as (name, target). No such script is run.
LINKS = (
    ("usr/bin/awk", "mawk"),
    ("usr/bin/nawk", "mawk"),
    ("usr/bin/cc", "gcc"),
    ("usr/bin/which", "which.debianutils"),
    ("usr/bin/yacc", "bison.yacc"),
    ("usr/lib/arm-none-eabi/include", "../../include/newlib"),
    ("usr/lib/arm-none-eabi/lib", "newlib"),
)


def programs(arch: Architecture = ARM32) -> dict[str, str]:
    """QEMU, the compilers, and what is used with them: each program → its Debian package."""
    return arch.programs | _MORE_PROGRAMS


def pruned(arch: Architecture = ARM32) -> tuple[str, ...]:
    """The files that are left out of the tree for an architecture, as patterns."""
    others = (one for one in ARCHITECTURES if one.qemu_package == arch.qemu_package)
    unused = [one.qemu for one in others if one.qemu != arch.qemu]
    return tuple(
        pattern.format(QEMU=name, TRIPLET=arch.debian.triplet)
        for pattern in _PRUNED
        for name in (unused if "{QEMU}" in pattern else unused[:1])
    )


#: The same for ARM32.
PROGRAMS = programs()
PRUNED = pruned()


def package_list(arch: Architecture = ARM32) -> tuple[str, ...]:
    """The names in ``dockerfiles/packages``, sorted.

    The file has the compiler of ARM32. Another architecture has its own in place of that one.
    """
    text = resource("dockerfiles", "packages").read_text()
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    names = set(filter(None, lines))
    if arch != ARM32:
        names = names - {*ARM32.cross_packages} | {*arch.cross_packages}
    return tuple(sorted(names))


def recipe_key(arch: Architecture = ARM32) -> str:
    """The identity of the recipe. It is a part of the names under which trees are stored."""
    wanted = [SUITE, ARCHITECTURE, VERSION, package_list(arch), pruned(arch), LINKS]
    return files.sha256_json(wanted)
