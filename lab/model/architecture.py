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
    def hypervisor(self) -> str:
        """The package that holds Xen."""
        return f"xen-hypervisor-4.17-{self.name}"

    @property
    def kernel(self) -> str:
        """The package that depends on the newest kernel. It is empty itself."""
        return f"linux-image-{self.flavour}"

    @property
    def kernel_pattern(self) -> str:
        """Matches the name of the package that holds a kernel; it contains the version."""
        return rf"linux-image-[0-9][^-]*(-[0-9]+)?-{self.flavour}"


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
            (gdb's documentation, "ARM Features").
        elf_machine: the machine of its ELF files (elf.h, EM_…).
        kernel_mark: where a kernel's file has bytes that mark it, and which bytes. Xen's own file
            has them too: a zImage of 32-bit ARM (Documentation/arch/arm/booting.rst of Linux), an
            Image of arm64 (Documentation/arch/arm64/booting.rst).
        xen: its name in Xen's makefiles (``XEN_TARGET_ARCH``; Config.mk of Xen), and in labs.yaml.
        debian: its names in Debian. Xen, dom0 and its programs come from there.
        bare: the triplet of the compiler for guests without an operating system.
        wide_guests: the packages that FreeRTOS guests of 64 bits need besides the compiler of
            dom0's programs.
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
    elf_machine: int
    kernel_mark: tuple[int, bytes]
    xen: str
    debian: Debian
    bare: str
    wide_guests: tuple[str, ...] = ()

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
        """The Debian packages that compile Xen, dom0's programs and wide guests."""
        ours = (f"gcc-{self.debian.triplet}", f"libc6-dev-{self.debian.name}-cross")
        return (*ours, *self.wide_guests)

    def marks_kernel(self, data: bytes) -> bool:
        """Whether a file is a kernel of this architecture."""
        at, mark = self.kernel_mark
        return data[at : at + len(mark)] == mark

    @property
    def programs(self) -> dict[str, str]:
        """QEMU and the compilers: each program → its Debian package."""
        compilers = (self.bare, self.debian.triplet)
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
    elf_machine=40,
    kernel_mark=(0x24, b"\x18\x28\x6f\x01"),
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
    elf_machine=183,
    kernel_mark=(0x38, b"ARMd"),
    xen="arm64",
    debian=Debian("arm64", "aarch64-linux-gnu", "arm64"),
    bare="arm-none-eabi",
    wide_guests=("picolibc-aarch64-linux-gnu",),
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
