"""The facts that depend on the processor's architecture; ``board`` has those that do not.

CONTRIBUTING.md ("Add an architecture") says which code depends on it besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Debian:
    """What Debian calls an architecture.

    Attributes:
        name: its name in the archive (``dpkg --print-architecture``).
        triplet: its name in the paths of libraries and in the names of compilers
            (``dpkg-architecture -qDEB_HOST_MULTIARCH``).
        flavour: the flavour of its kernel: how the names of the kernel's packages end.
    """

    name: str
    triplet: str
    flavour: str

    @property
    def kernel(self) -> str:
        """The package that depends on the newest kernel. It is empty itself."""
        return f"linux-image-{self.flavour}"

    @property
    def kernel_pattern(self) -> str:
        """Matches the name of the package that holds a kernel; it contains the version."""
        return rf"linux-image-[0-9][^-]*(-[0-9]+)?-{self.flavour}"


@dataclass(frozen=True)
class Linux:
    """What differs in a Linux for dom0.

    Attributes:
        name: its name in Linux's makefiles (``ARCH``), and of its folder below ``arch``.
        image: the file that boots: the goal of ``make``, and its name below ``arch/NAME/boot``.
        needed: options without which dom0's programs do not start, besides those that all need.
        machine: options for a machine like QEMU's, besides those that all need.
    """

    name: str
    image: str
    needed: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()

    @property
    def boots(self) -> str:
        """The file that boots, in a tree."""
        return f"arch/{self.name}/boot/{self.image}"


@dataclass(frozen=True)
class Release:
    """A release of Xen that Debian has as packages.

    Attributes:
        xen: its major and minor version, such as ``4.17``. labs.yaml calls it so too.
        suite: the Debian that has it. dom0's kernel and libraries are from this one as well.
    """

    xen: str
    suite: str

    @property
    def tools(self) -> str:
        """The package of dom0's tools. They work only with a hypervisor of the same version: the
        sysctl and domctl interfaces may change with each (xen/include/public/domctl.h)."""
        return f"xen-utils-{self.xen}"

    @property
    def library(self) -> str:
        """The file name of the packaged libxenctrl."""
        return f"libxenctrl.so.{self.xen}"

    @property
    def programs(self) -> str:
        """The folder in which the tools are."""
        return f"/usr/lib/xen-{self.xen}/bin"

    def hypervisor(self, debian: Debian) -> str:
        """The package that holds Xen for an architecture."""
        return f"xen-hypervisor-{self.xen}-{debian.name}"


BOOKWORM, TRIXIE = Release("4.17", "bookworm"), Release("4.20", "trixie")


@dataclass(frozen=True)
class Architecture:
    """One kind of processor, as QEMU's ``virt`` board has it (hw/arm/virt.c of QEMU).

    Attributes:
        name: its name in messages.
        qemu: the name of QEMU's program. ``qemu_package``: the Debian package that has it.
        machine: the value of QEMU's ``-machine``; ``{gic}``: the interrupt controller's version.
        cpus: the processors that a lab can have, by their names in QEMU's ``-cpu``; the first one
            is the default. Xen must know them. ``max`` has all that QEMU emulates: it differs
            between QEMU's versions.
        gics: the versions of the interrupt controller that a lab can have; the first one is the
            default.
        counter_hz: how many times a second the generic timer's counter counts (CNTFRQ;
            target/arm/cpu.c of QEMU). ``max`` counts faster: traces say themselves how fast.
        word: the size of an address and of a general register, in bytes.
        first_argument: gdb's number of the register that holds a function's first argument
            (gdb's documentation, "ARM Features"). ``program_counter``: that of the program counter.
        elf_machine: the machine of its ELF files (elf.h, EM_…).
        kernel_mark: where a kernel's file has bytes that mark it, and which bytes. Xen's own file
            has them too: a zImage of 32-bit ARM (Documentation/arch/arm/booting.rst of Linux), an
            Image of arm64 (Documentation/arch/arm64/booting.rst).
        linux: what differs in a kernel of the user's own for dom0.
        xen: its name in Xen's makefiles (``XEN_TARGET_ARCH``; Config.mk of Xen), and in labs.yaml.
        debian: its names in Debian. Xen, dom0 and its programs come from there.
        bare: the triplet of the compiler for guests without an operating system.
        bare_library: the packages that such guests need besides the compilers.
        also: the other architectures whose guests run on it too.
        tool_builders: the packages that dom0's tools are built with, besides the compiler. Xen's
            configure asks for iasl on arm64 (tools/configure.ac).
        releases: the releases of Xen that Debian has for it. The first one is the default.
    """

    name: str
    qemu: str
    qemu_package: str
    machine: str
    cpus: tuple[str, ...]
    gics: tuple[int, ...]
    counter_hz: int
    word: int
    first_argument: int
    program_counter: int
    elf_machine: int
    kernel_mark: tuple[int, bytes]
    linux: Linux
    xen: str
    debian: Debian
    bare: str
    bare_library: tuple[str, ...] = ()
    also: tuple[Architecture, ...] = ()
    tool_builders: tuple[str, ...] = ()
    releases: tuple[Release, ...] = (BOOKWORM,)

    @property
    def bits(self) -> int:
        """The width of its own guests."""
        return 8 * self.word

    @property
    def guests(self) -> tuple[Architecture, ...]:
        """The architectures whose guests run on it: first its own, which is the default."""
        return (self, *self.also)

    def of_guest(self, width: int) -> Architecture:
        """The architecture that a guest of ``width`` bits is made for; 0: its own.

        Raises:
            KeyError: no such guest runs on it.
        """
        return {0: self, **{one.bits: one for one in self.guests}}[width]

    def release(self, word: str) -> Release:
        """The release of Xen that labs.yaml calls ``word``; empty: the default.

        Raises:
            KeyError: Debian has none for this architecture.
        """
        return {one.xen: one for one in self.releases}[word or self.releases[0].xen]

    @property
    def compiler(self) -> str:
        """The prefix of the programs that compile Xen and dom0's programs."""
        return f"{self.debian.triplet}-"

    @property
    def bare_compiler(self) -> str:
        """The prefix of the programs that compile guests without an operating system."""
        return f"{self.bare}-"

    @property
    def cross_packages(self) -> tuple[str, ...]:
        """What compiles Xen, dom0's programs and tools, and the architecture's guests."""
        ours = (f"gcc-{self.debian.triplet}", f"libc6-dev-{self.debian.name}-cross")
        return (*ours, *self.bare_library, *self.tool_builders)

    def marks_kernel(self, data: bytes) -> bool:
        """Whether a file is a kernel of this architecture."""
        at, mark = self.kernel_mark
        return data[at : at + len(mark)] == mark

    @property
    def programs(self) -> dict[str, str]:
        """QEMU and the compilers: each program → its Debian package."""
        compilers = (*(one.bare for one in self.guests), self.debian.triplet)
        return {self.qemu: self.qemu_package} | {f"{one}-gcc": f"gcc-{one}" for one in compilers}


ARM32 = Architecture(
    name="ARM32",
    qemu="qemu-system-arm",
    qemu_package="qemu-system-arm",
    machine="virt,virtualization=on,highmem=off",
    cpus=("cortex-a15", "cortex-a7"),  # Xen knows no others (arch/arm/arm32/proc-v7.S)
    gics=(2,),
    counter_hz=62_500_000,
    word=4,
    first_argument=0,
    program_counter=15,
    elf_machine=40,
    kernel_mark=(0x24, b"\x18\x28\x6f\x01"),
    # glibc of Debian 12 waits with the futex call for 32-bit times (without it xenconsoled aborts).
    linux=Linux(
        "arm",
        "zImage",
        ("VFP", "COMPAT_32BIT_TIME"),
        ("MMU", "ARCH_MULTI_V7", "ARCH_VIRT", "AEABI", "NEON", "KERNEL_GZIP"),
    ),
    xen="arm32",
    debian=Debian("armhf", "arm-linux-gnueabihf", "armmp-lpae"),
    bare="arm-none-eabi",
)

ARM64 = Architecture(
    name="ARM64",
    qemu="qemu-system-aarch64",
    qemu_package="qemu-system-arm",
    machine="virt,virtualization=on,gic-version={gic},highmem=off",
    cpus=("cortex-a57", "cortex-a53", "cortex-a72", "max"),
    gics=(2, 3),
    counter_hz=62_500_000,
    word=8,
    first_argument=0,
    program_counter=32,
    elf_machine=183,
    kernel_mark=(0x38, b"ARMd"),
    linux=Linux("arm64", "Image"),
    xen="arm64",
    debian=Debian("arm64", "aarch64-linux-gnu", "arm64"),
    bare="aarch64-linux-gnu",
    bare_library=("picolibc-aarch64-linux-gnu",),
    also=(ARM32,),
    tool_builders=("acpica-tools",),
    releases=(BOOKWORM, TRIXIE),
)

#: Every architecture that labs can have. A lab has the first one if labs.yaml names none.
ARCHITECTURES = (ARM32, ARM64)


def of_run(manifest: Mapping[str, Any]) -> Architecture:
    """The architecture of a run. Manifests of older runs do not name it."""
    return by_word(str(manifest.get("arch", ARM32.xen)))


def by_word(word: str) -> Architecture:
    """The architecture that labs.yaml and ``--arch`` call ``word``.

    Raises:
        KeyError: there is none.
    """
    return {one.xen: one for one in ARCHITECTURES}[word]


def no_release(arch: Architecture, word: str) -> str:
    """Why an architecture cannot have a release of Xen from Debian; empty: it can."""
    if not word or any(one.xen == word for one in arch.releases):
        return ""
    has = {one.xen: " and ".join(it.xen for it in one.releases) for one in ARCHITECTURES}
    others = "; ".join(f"{name} has {has[name]}" for name in has if name != arch.xen)
    return f"Debian has no Xen {word} for {arch.xen}: it has {has[arch.xen]}; {others}"
