"""Checks, once a guest's files are built, that the guest can be started with them."""

from __future__ import annotations

from lab.errors import UsageError
from lab.images import elf, guest_memory, kernel_file, kernel_kinds
from lab.model import ARM32, Architecture, GuestImage, GuestSpec, Prebuilt, Project, Refusal
from lab.util import reading, refusals
from lab.util.terminal import quote


def check(guest: GuestSpec, image: GuestImage, arch: Architecture = ARM32) -> None:
    """Check that a guest of a lab of this architecture can be started with the files of ``image``.

    Raises:
        UsageError: the kernel is not one that ``xl`` boots, it or the ELF file is one for another
            machine, or the guest has too little memory. The message names the place in labs.yaml.
    """
    kernel = kernel_file.look(image.kernel.path, arch)
    if kernel.wrong:
        raise _wrong(guest, "kernel", f"{_name(guest, 'kernel', image)} {kernel.wrong}")
    made_for = arch.of_guest(guest.width)
    if kernel.width != made_for.bits:
        wrong = f"is {kernel.width} bits wide, and the guest is to have {made_for.bits}"
        hint = f"write 'width: {kernel.width}', or build it for {made_for.bits} bits"
        raise _wrong(guest, "kernel", f"{_name(guest, 'kernel', image)} {wrong}: {hint}")
    end = 0
    if image.elf:
        data = reading.data(image.elf.path, reading.IMAGE)
        if not elf.is_elf(data) or kernel_kinds.machine_of(data) != made_for.elf_machine:
            kind = kernel_kinds.kind_of(data)
            what = kind.name if kind else "not an ELF file"
            machine = kernel_kinds.MACHINES[made_for.elf_machine]
            wrong = f"is {what}; it must be the ELF file for {machine} that the kernel is made from"
            raise _wrong(guest, "elf", f"{_name(guest, 'elf', image)} {wrong}")
        end = guest_memory.linked_end(data)
    needed = guest_memory.need(kernel, image.ramdisk.size if image.ramdisk else 0, end)
    if wrong := guest_memory.too_little(guest.memory, needed, linux=kernel.is_linux):
        raise _wrong(guest, "memory", wrong)


def _name(guest: GuestSpec, key: str, image: GuestImage) -> str:
    """The name of a guest's file for a message, and whether the build made it."""
    match guest.program:
        case Project() as project:
            path = project.elf if key == "elf" and project.elf else project.kernel
            return f"{quote(path.name)}, which the build made,"
        case Prebuilt() as ready:
            return quote(ready.kernel.name)
        case _:
            return quote(image.kernel.path.name)


def _wrong(guest: GuestSpec, key: str, wrong: str) -> UsageError:
    place = guest.places.get(key) or guest.places.get("")
    if place is None:
        return UsageError(f"guest {guest.name}: {quote(key)}: {wrong}")
    return refusals.refusal([Refusal(place, f"{quote(key)}: {wrong}")])
