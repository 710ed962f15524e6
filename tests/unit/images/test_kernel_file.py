"""Before the boot the lab knows what a given kernel file is, and what to do about it."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import at, elf, image, linux, uimage, zimage

from lab.images import guest_memory, kernel_file
from lab.images.guest_memory import MIB
from lab.images.kernel_formats import Kernel, Linux
from lab.model import ARM32, ARM64, Architecture

GOOD = zimage()

TAKEN = {
    "zImage": GOOD,
    "gzip of a zImage": gzip.compress(GOOD),
    "with a device tree behind it": GOOD + b"\xd0\x0d\xfe\xed" * 8,
    "a header without an end": zimage(end=0),
    "linked for where xl loads it": zimage(start=0x40008000, end=0x40008100),
    "with EFI's mark": b"MZ" + GOOD[2:],
}

WRONG = {
    "empty": (b"", "is empty"),
    "cut off": (zimage(0x1000)[:0x200], "cut off: its header says 4096 bytes, the file has 512"),
    "starts elsewhere": (zimage(start=0x80008000, end=0x80008100), "starts at 0x80008000"),
    "big-endian": (at(0x24, b"\x01\x6f\x28\x18"), "big-endian"),
    "uImage": (uimage(GOOD), r"uImage\); xl .*\(tail -c \+65 'k' > zImage\)"),
    "uImage of something else": (uimage(b"\x02\x21\x4c\x18"), "holds lz4; .*give the zImage"),
    "uImage in gzip": (gzip.compress(uimage(GOOD)), "gzip file, and its content is a U-Boot image"),
    "ELF of ARM": (elf(40), "ELF program for 32-bit ARM; .*objcopy -O binary"),
    "vmlinux": (elf(40) + b"Linux version 6.1", "arch/arm/boot/zImage"),
    "ELF of x86": (elf(3), "ELF program for 32-bit x86; the machine is a 32-bit ARM"),
    "ELF of x86-64": (elf(62, bits=64, kind=3), "64-bit x86; the machine"),
    "ELF of AArch64": (elf(183, bits=64), "64-bit ARM; the machine"),
    "object file": (elf(40, kind=1), "ELF object file for 32-bit ARM"),
    "short ELF": (b"\x7fELF", "an ELF file for machine 0"),
    "arm64 Image": (image(), r"an arm64 kernel \(Image\); the machine is a 32-bit ARM: give"),
    "arm64 Image in gzip": (gzip.compress(image()), r"content is an arm64 kernel \(Image\); the m"),
    "arm64 zboot": (b"MZ\0\0zimg" + b"\0" * 99, "arm64 Linux kernel"),
    "bzImage": (b"MZ" + at(0x200, b"HdrS"), r"x86 Linux kernel \(bzImage\); the machine"),
    "EFI": (b"MZ" + b"\0" * 99, "an EFI program"),
    "FIT": (b"\xd0\x0d\xfe\xed" + b"\0" * 99, "FIT image"),
    "initramfs": (b"070701" + b"0" * 99, "it is not a kernel: give it as 'ramdisk'"),
    "xz": (b"\xfd7zXZ\0" + b"\0" * 99, r"xl unpacks only gzip: unpack it first \(xz -d\)"),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"\0" * 99, "zstd -d"),
    "gzip of nothing": (gzip.compress(b""), "gzip file, and its content is empty"),
    "gzip of an ELF": (gzip.compress(elf(40)), "its content is an ELF program for 32-bit ARM"),
    "gzip cut off": (gzip.compress(GOOD)[:-9], "gzip file that was cut off"),
    "gzip damaged": (b"\x1f\x8b" + b"\xff" * 99, "damaged gzip"),
    "two gzips": (gzip.compress(GOOD) * 2, "other data after it"),
    "a package": (b"!<arch>\ndebian-binary", "a Debian package; unpack it"),
    "a library": (b"!<arch>\n" + b"\0" * 99, "a library"),
    "a text": (b"no kernel\n" * 9, "a text file; is the path right"),
    "a script": (b"#!/bin/sh\n", "a script"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "noise": (b"f" * 20000, "not a known kind of kernel; .* must begin with a zImage header"),
    "one byte": (b"\0", "not a known kind of kernel"),
}


def look(folder: Path, data: bytes, arch: Architecture | None = ARM32) -> Kernel:
    file = folder / "k"
    file.write_bytes(data)
    return kernel_file.look(file, arch)


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
def test_what_xl_boots_is_taken(tmp_path: Path, data: bytes) -> None:
    assert look(tmp_path, data).wrong == ""


@pytest.mark.parametrize(("data", "words"), WRONG.values(), ids=WRONG)
def test_what_xl_does_not_boot_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    found = look(tmp_path, data)
    assert not found.placed
    assert re.search(words, found.wrong), found.wrong


TAKEN_64 = {
    "Image": (image(), 64),
    "Image with EFI's mark": (b"MZ" + image()[2:], 64),
    "gzip of an Image": (gzip.compress(image()), 64),
    "Image without a mark": (image(marked=False), 64),
    "zImage": (GOOD, 32),
    "gzip of a zImage": (gzip.compress(GOOD), 32),
}
WRONG_64 = {
    "big-endian": (image(flags=1), "big-endian arm64 kernel"),
    "far away": (image(text_offset=1 << 40), "asks to lie 0x10000000000 bytes above"),
    "zboot": (b"MZ\0\0zimg" + b"\0" * 99, "EFI zboot.; xl does not unpack it: give the Image"),
    "ELF of AArch64": (
        elf(183, bits=64),
        "for 64-bit ARM; .*aarch64-linux-gnu-objcopy .*'ARMd'",
    ),
    "ELF of ARM": (elf(40), "for 32-bit ARM; .*arm-none-eabi-objcopy .*begin with a zImage header"),
    "vmlinux": (
        elf(183, bits=64) + b"Linux version 6.1",
        "give the kernel's arch/arm64/boot/Image ",
    ),
    "ELF of x86-64": (elf(62, bits=64), "64-bit x86; the machine is a 64-bit ARM: give"),
    "RISC-V": (at(56, b"RSC\x05"), r"a RISC-V Linux kernel \(Image\); the machine is a 64"),
    "uImage": (uimage(image()), r"\(tail -c \+65 'k' > Image\)"),
    "noise": (
        b"f" * 20000,
        "boots an ARM zImage or an arm64 Image, plain .* header .* or an Image h",
    ),
}


@pytest.mark.parametrize(("data", "width"), TAKEN_64.values(), ids=TAKEN_64)
@pytest.mark.parametrize("arch", [ARM64, None], ids=["arm64", "any"])
def test_a_kernel_says_how_wide_its_guest_is(
    tmp_path: Path, arch: Architecture | None, data: bytes, width: int
) -> None:
    """Labs of arm64 run guests of both widths."""
    found = look(tmp_path, data, arch)
    assert (found.wrong, found.width) == ("", width)


@pytest.mark.parametrize(("data", "words"), WRONG_64.values(), ids=WRONG_64)
def test_what_xl_does_not_boot_on_arm64_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    found = look(tmp_path, data, ARM64)
    assert not found.placed
    assert re.search(words, found.wrong), found.wrong


def test_before_the_lab_is_known_both_machines_are_named(tmp_path: Path) -> None:
    words = "the machine is a 32-bit ARM or a 64-bit ARM: give a kernel that was built for it"
    assert words in look(tmp_path, at(0x202, b"HdrS"), None).wrong


def test_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a small gzip file with large content."""
    monkeypatch.setattr(kernel_file, "LARGEST", 1 << 20)
    for data in (zimage((1 << 20) + 1), gzip.compress(zimage((1 << 20) + 1))):
        assert "larger than 1M" in look(tmp_path, data).wrong


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x7fELF", b"\x1f\x8b\x08", GOOD[:0x40]]))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, raw: bytes, before: bytes) -> None:
    """Never a traceback."""
    look(tmp_path_factory.mktemp("any"), before + raw)


RAMDISKS = {
    "cpio": (b"070701" + b"0" * 99, ""),
    "gzip": (gzip.compress(b"070701"), ""),
    "file system": (at(1080, b"\x53\xef"), ""),
    "empty": (b"", "is empty"),
    "uImage": (uimage(b"070701"), r"tail -c \+65 'r' > ramdisk"),
    "zImage": (GOOD, "not a ramdisk"),
    "old cpio": (b"070707" + b"0" * 99, "cpio -o -H newc"),
    "frames of lz4": (b"\x04\x22\x4d\x18" + b"\0" * 99, "needs a cpio archive"),
    "noise": (b"\x80" * 2000, "not a known kind of file"),
}


@pytest.mark.parametrize(("data", "words"), RAMDISKS.values(), ids=RAMDISKS)
def test_ramdisks_of_linux(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "r").write_bytes(data)
    wrong = kernel_file.look_at_ramdisk(tmp_path / "r", look(tmp_path, linux(1 << 20)))
    assert bool(wrong) == bool(words)
    assert re.search(words, wrong), wrong


def test_another_kernel_may_have_any_file_as_its_ramdisk(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"\x80" * 2000)
    assert kernel_file.look_at_ramdisk(tmp_path / "r", look(tmp_path, GOOD)) == ""


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize(
    ("placed", "ramdisk", "end", "least"),
    [
        (37_000, 0, 0, 3),  # seen with Xen 4.17: 2M is refused, 3M boots
        ((2 << 20) + 102_400, 0, 0, 5),  # seen: 4M is refused, 5M boots
        (37_000, 3 << 20, 0, 6),
        (37_000, 0, 5 << 20, 6),
        (37_000, 0, 1 << 20, 3),
    ],
)
def test_what_a_guest_needs(placed: int, ramdisk: int, end: int, least: int) -> None:
    need = guest_memory.need(Kernel(placed=placed), ramdisk, end)
    assert need.least == least * MIB
    assert not guest_memory.too_little(least * MIB, need, linux=False)
    assert f"at least {least}M" in guest_memory.too_little((least - 1) * MIB, need, linux=False)


def test_what_linux_needs_to_unpack_itself() -> None:
    """Debian's armmp-lpae: unpacked it has 22 MiB and lies 2 MiB into RAM, with the packed
    kernel behind it."""
    kernel = Kernel("", 5_526_016, Linux(0x208000, 22_696_136, 393_664), is_linux=True)
    need = guest_memory.need(kernel, 3_000_000)
    assert need.least == 32 * MIB
    assert "64M" in guest_memory.too_little(16 * MIB, need, linux=True)


def test_what_an_image_needs(tmp_path: Path) -> None:
    """It lies where its header says, and its variables follow it."""
    found = look(tmp_path, image(3 << 20, text_offset=0x80000, uses=5 << 20), ARM64)
    assert (found.at, found.placed, found.used) == (0x80000, 3 << 20, 5 << 20)
    need = guest_memory.need(found)
    assert need.least == 6 * MIB
    assert need.why == "its kernel takes 5M with its variables"
    assert guest_memory.need(look(tmp_path, image(3 << 20), ARM64)).least == 5 * MIB


def test_a_table_of_sizes_that_leads_nowhere(tmp_path: Path) -> None:
    data = bytearray(linux(1 << 20))
    data[0x38:0x3C] = b"\xff" * 4
    found = look(tmp_path, bytes(data))
    assert (found.wrong, found.is_linux, found.linux) == ("", True, None)
