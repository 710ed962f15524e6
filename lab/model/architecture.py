"""The facts that depend on the processor's architecture; ``board`` has those that do not.

CONTRIBUTING.md ("Add an architecture") says what else depends on it: images, packages, compilers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One kind of processor, as QEMU's ``virt`` board has it (hw/arm/virt.c of QEMU).

    Attributes:
        name: its name in messages.
        qemu: the name of QEMU's program.
        machine: the value of QEMU's ``-machine``.
        cpu: the value of QEMU's ``-cpu``.
        counter_hz: how many times a second the generic timer's counter counts on this CPU
            (CNTFRQ; target/arm/cpu.c of QEMU).
        word: the size of an address and of a general register, in bytes.
        first_argument: gdb's number of the register that holds a function's first argument
            (gdb's documentation, "ARM Features").
        elf: how an ELF file of its programs begins: magic number, class, byte order (elf(5)).
    """

    name: str
    qemu: str
    machine: str
    cpu: str
    counter_hz: int
    word: int
    first_argument: int
    elf: bytes


ARM32 = Architecture(
    name="ARM32",
    qemu="qemu-system-arm",
    machine="virt,virtualization=on,highmem=off",
    cpu="cortex-a15",
    counter_hz=62_500_000,
    word=4,
    first_argument=0,
    elf=b"\x7fELF\x01\x01",
)
