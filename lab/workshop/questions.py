"""The packages that labs are made of, as questions to Debian's archive."""

from __future__ import annotations

from lab.model import ARM32, Architecture, Release
from lab.packages import archive
from lab.packages.apt import SOURCE
from lab.packages.archive import Question
from lab.packages.lock import Lock, Pin
from lab.toolchain import recipe


def platform(arch: Architecture, release: Release | None = None) -> Question:
    """The platform's packages: Xen, dom0's kernel and tools.

    ``release``: which release of Xen; ``None``: the architecture's default.
    """
    debian, release = arch.debian, release or arch.releases[0]
    xen = release.hypervisor(debian)
    return Question(
        release.suite, debian.name,
        wanted=(
            xen, debian.kernel, release.tools,
            "xenstore-utils", "busybox-static", "qemu-guest-agent", "libxen-dev",
        ),
        # Of these and their dependencies, those that hold something that the lab uses.
        keep=(
            xen, "linux-image-6*", release.tools, "xenstore-utils",
            "busybox-static", "qemu-guest-agent", "lib*", "zlib1g",
        ),
    )  # fmt: skip


def tools(arch: Architecture, release: Release | None = None) -> Question:
    """What dom0's tools are compiled against where they are built from a tree.

    Of the same suite as the libraries that are in dom0. ``release``: as for :func:`platform`.
    """
    release = release or arch.releases[0]
    return Question(
        release.suite, arch.debian.name,
        wanted=(
            "libc6-dev", "libfdt-dev", "libncurses-dev", "libyajl-dev", "uuid-dev", "zlib1g-dev",
        ),
        keep=(
            "libc6", "libc6-dev", "libfdt*", "libgcc-s1", "libncurses*", "libtinfo6", "libuuid1",
            "libyajl*", "linux-libc-dev", "uuid-dev", "zlib1g*",
        ),
        part="tools",
    )  # fmt: skip


def linux(arch: Architecture) -> Question:
    """The packages of a Linux guest that is made for another architecture than the lab's.

    They are some of that architecture's platform, and the lock has them with it.
    """
    of_platform = platform(arch)
    names = (arch.debian.kernel, "busybox-static")
    kept = ("linux-image-6*", "busybox-static")
    return Question(of_platform.suite, arch.debian.name, wanted=names, keep=kept)


def toolchain(arch: Architecture) -> Question:
    """The toolchain's packages, asked for in the same way as mmdebstrap asks apt."""
    return Question(
        recipe.SUITE, recipe.ARCHITECTURE, ("?essential", *recipe.package_list(arch)),
        part="" if arch == ARM32 else arch.xen,
    )  # fmt: skip


#: The questions of ARM32.
PLATFORM, SYSROOT, TOOLCHAIN = platform(ARM32), tools(ARM32), toolchain(ARM32)
#: The source package that carries the FreeRTOS kernel.
KERNEL = Question("trixie", SOURCE, ("micropython",))
#: The parts of the workshop's page that others wrote; they need none of their dependencies.
PAGE = Question(
    recipe.SUITE, recipe.ARCHITECTURE, ("libjs-codemirror", "libjs-xterm"),
    keep=("libjs-codemirror", "libjs-xterm"), part="page",
)  # fmt: skip


def xen(version: str, suite: str = PLATFORM.suite) -> Question:
    """The source package of Xen, in the version of the tools in dom0."""
    return Question(suite, SOURCE, ("xen",), version=version)


def of(arch: Architecture) -> list[Question]:
    """The questions of an architecture: its toolchain, and what it has of each release of Xen."""
    both = [(platform(arch, one), tools(arch, one)) for one in arch.releases]
    return [toolchain(arch), *(question for pair in both for question in pair)]


def locked(pins: Lock, question: Question) -> tuple[Pin, ...]:
    """The pins of a lock that belong to a question."""
    if question.name == TOOLCHAIN.name:
        return pins.toolchain
    names = question.wanted if question.arch == SOURCE else ()
    found = pins.archives.get(question.name, ())
    return tuple(
        pin for pin in found
        if archive.matches(pin.name, question.keep) and (not names or pin.name in names)
    )  # fmt: skip
