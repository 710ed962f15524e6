"""Checks that Xen finds a place for the files of a guest that it boots; if it does not, it panics.

Where it places them: place_modules and kernel_zimage_place in xen/arch/arm/kernel.c.
"""

from __future__ import annotations

from lab.errors import UsageError
from lab.images import guest_memory, kernel_file
from lab.images.kernel_formats import IMAGE_HEADER, is_image
from lab.images.zimage import is_zimage
from lab.model import GuestImage, GuestPlan, Refusal
from lab.util import reading, refusals

MIB, PIECE = 1 << 20, 2 << 20
#: Xen prefers this place for the device tree and the ramdisk, in bytes from the start of RAM.
PREFERRED = 128 * MIB
#: A zImage's header: where it is to be loaded (0: anywhere) and ends
#: (Linux's Documentation/arm/booting.rst).
_START, _END = 0x28, 0x2C


def check(guest: GuestPlan, image: GuestImage) -> None:
    """Check the memory of a guest that Xen boots.

    Raises:
        UsageError: it is too small for Xen's way to place the guest's files.
    """
    with reading.binary(image.kernel.path) as file:
        head = file.read(IMAGE_HEADER)
    modules = PIECE + _up(image.ramdisk.size if image.ramdisk else 0)
    if is_image(head):
        _image(guest, image, modules)
    elif is_zimage(head) and not _word(head, _START):  # else Xen loads it where it says itself
        _zimage(guest, image, modules, _word(head, _END) or image.kernel.size)


def _zimage(guest: GuestPlan, image: GuestImage, modules: int, size: int) -> None:
    """Xen loads it as high as it can, and the rest below it."""
    memory = guest.spec.memory
    last = min(memory, PREFERRED)
    below = (last - size) // PIECE * PIECE - modules  # where the device tree lies
    if below <= 0:
        raise _too_little(
            guest,
            "Xen places its kernel, its device tree and its ramdisk in pieces of 2M, the kernel "
            f"last; that takes {_mebibytes(modules + PIECE + size)}",
        )
    needed = _linked_end(image)
    if needed > below and memory < PREFERRED + modules:
        raise _overlap(guest, needed, below, _up(needed) + modules + size)


def _image(guest: GuestPlan, image: GuestImage, modules: int) -> None:
    """Xen loads it where it asks to lie, and the rest above it."""
    memory = guest.spec.memory
    kernel = kernel_file.look(image.kernel.path)
    end = _up(kernel.at + kernel.placed)
    behind = PREFERRED if memory >= PREFERRED + modules and end < PREFERRED else memory - modules
    if behind <= end:
        raise _too_little(
            guest,
            "Xen places its kernel, its device tree and its ramdisk in pieces of 2M; that takes "
            f"{_mebibytes(end + modules + 1)}",
        )
    needed = max(kernel.at + kernel.used, _linked_end(image))
    if needed > behind:
        raise _overlap(guest, needed, behind, _up(needed) + modules)


def _linked_end(image: GuestImage) -> int:
    if image.elf is None:
        return 0
    return guest_memory.linked_end(reading.data(image.elf.path, reading.IMAGE))


def _overlap(guest: GuestPlan, needed: int, at: int, enough: int) -> UsageError:
    return _too_little(
        guest,
        f"its program has {guest_memory.shown(needed)} with variables and heap, and Xen places "
        f"the device tree at {guest_memory.shown(at)}; {_mebibytes(enough)} would do",
    )


def _too_little(guest: GuestPlan, why: str) -> UsageError:
    text = (
        f"'memory': {guest_memory.shown(guest.spec.memory)} is too little for a guest with "
        f"'start: device-tree': {why}"
    )
    place = guest.spec.places.get("memory") or guest.spec.places.get("")
    if place is None:
        return UsageError(f"guest {guest.name}: {text}")
    return refusals.refusal([Refusal(place, text)])


def _mebibytes(size: int) -> str:
    return guest_memory.shown(-(-size // MIB) * MIB)


def _word(head: bytes, at: int) -> int:
    return int.from_bytes(head[at : at + 4], "little")


def _up(size: int) -> int:
    return -(-size // PIECE) * PIECE
