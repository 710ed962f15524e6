"""The facts that depend on the processor's architecture; ``board`` has those that do not.

CONTRIBUTING.md ("Add an architecture") says which code depends on it besides.
"""

from __future__ import annotations

from dataclasses import dataclass


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
        machine: the value of QEMU's ``-machine``.
        cpu: the value of QEMU's ``-cpu``.
        counter_hz: how many times a second the generic timer's counter counts on this CPU
            (CNTFRQ; target/arm/cpu.c of QEMU).
        word: the size of an address and of a general register, in bytes.
        first_argument: gdb's number of the register that holds a function's first argument
            (gdb's documentation, "ARM Features"). ``program_counter``: that of the program counter.
        elf_machine: the machine of its ELF files (elf.h, EM_…).
        xen: its name in Xen's makefiles (``XEN_TARGET_ARCH``; Config.mk of Xen).
        debian: its names in Debian. Xen, dom0 and its programs come from there.
        bare: the triplet of the compiler for guests without an operating system.
    """

    name: str
    qemu: str
    qemu_package: str
    machine: str
    cpu: str
    counter_hz: int
    word: int
    first_argument: int
    program_counter: int
    elf_machine: int
    xen: str
    debian: Debian
    bare: str

    @property
    def compiler(self) -> str:
        """The prefix of the programs that compile Xen and dom0's programs."""
        return f"{self.debian.triplet}-"

    @property
    def bare_compiler(self) -> str:
        """The prefix of the programs that compile guests without an operating system."""
        return f"{self.bare}-"

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
    cpu="cortex-a15",
    counter_hz=62_500_000,
    word=4,
    first_argument=0,
    program_counter=15,
    elf_machine=40,
    xen="arm32",
    debian=Debian("armhf", "arm-linux-gnueabihf", "armmp-lpae"),
    bare="arm-none-eabi",
)

#: Every architecture that labs can have.
ARCHITECTURES = (ARM32,)
