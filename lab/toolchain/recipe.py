"""What the toolchain is made of: suite, packages, what is left out, what is linked."""

from __future__ import annotations

from lab.util import files
from lab.util.resources import resource

SUITE = "trixie"
ARCHITECTURE = "amd64"
#: Raised when the way of making a tree changes.
VERSION = 1

#: Nothing that runs in the toolchain reads these, and they are a third of its size.
#: Of the bare-metal libraries only ARMv7-A's stay (and ``nofp``, the family's default): Xen's
#: guests run on a Cortex-A15, and gcc ships them for 24 kinds of core.
PRUNED = (
    "usr/share/man", "usr/share/doc", "usr/share/info", "usr/share/locale",
    "usr/share/lintian", "usr/share/bash-completion",
    "usr/bin/*lto-dump*", "usr/bin/qemu-system-aarch64",
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

#: Links that maintainer scripts would have made (none is run): name, target.
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
    """Identity of what was asked for; a tree is kept under it."""
    wanted = [SUITE, ARCHITECTURE, VERSION, package_list(), PRUNED, LINKS]
    return files.sha256_json(wanted)
