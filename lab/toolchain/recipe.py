"""The recipe of the toolchain: Debian suite, packages, files that are left out, links."""

from __future__ import annotations

from lab.model import ARCHITECTURES
from lab.util import files
from lab.util.resources import resource

SUITE = "trixie"
ARCHITECTURE = "amd64"
#: Increase it when the way of making a tree changes.
VERSION = 1

#: QEMU and the compilers of every architecture, and what is used with them: each program → its
#: Debian package.
PROGRAMS = {
    **{name: package for one in ARCHITECTURES for name, package in one.programs.items()},
    "make": "make",
    "dtc": "device-tree-compiler",
}
#: The programs of the package qemu-system-arm.
_QEMU = ("qemu-system-arm", "qemu-system-aarch64")

#: Files that are left out: no program in the toolchain reads them, and they are a third of its
#: size. gcc ships bare-metal libraries for 24 kinds of core. Only those for ARMv7-A stay (and
#: ``nofp``, the family's default), because Xen's guests run on a Cortex-A15.
PRUNED = (
    "usr/share/man", "usr/share/doc", "usr/share/info", "usr/share/locale",
    "usr/share/lintian", "usr/share/bash-completion",
    "usr/bin/*lto-dump*", *(f"usr/bin/{name}" for name in _QEMU if name not in PROGRAMS),
    "usr/lib/gcc/arm-none-eabi/*/plugin",
    "usr/lib/x86_64-linux-gnu/lib?san.so*", "usr/lib/x86_64-linux-gnu/lib??san.so*",
    "usr/arm-linux-gnueabihf/lib/libasan.so*",
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


def package_list() -> tuple[str, ...]:
    """The names in ``dockerfiles/packages``, sorted."""
    text = resource("dockerfiles", "packages").read_text()
    names = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(sorted(filter(None, names)))


def recipe_key() -> str:
    """The identity of the recipe. It is a part of the names under which trees are stored."""
    wanted = [SUITE, ARCHITECTURE, VERSION, package_list(), PRUNED, LINKS]
    return files.sha256_json(wanted)
