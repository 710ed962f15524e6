"""What a guest is compiled with, and messages about one that cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import elf, image, zimage

from lab.errors import ConfigError, UsageError
from lab.images import freertos, guest_check
from lab.images.freertos import advice
from lab.model import (
    ARM32,
    ARM64,
    Architecture,
    Command,
    Completed,
    FreeRtosApp,
    GuestImage,
    GuestSpec,
    Image,
    Project,
)
from lab.store import Store


class Recorder:
    """A toolchain that only notes the command, and leaves the files that it would make."""

    key = "tools"

    def __init__(self, *left: str) -> None:
        self.left = left
        self.command = Command(())

    def run(self, command: Command, **_: object) -> Completed:
        self.command = command
        (out,) = (mount.source for mount in command.mounts if mount.writable)
        for name in self.left:
            (out / name).write_bytes(b"made")
        return Completed(tuple(command.argv), 0, b"", b"", 0.0)


def compiled(folder: Path, guest: GuestSpec, arch: Architecture, *left: str) -> Command:
    """The command with which a guest is compiled in a lab of an architecture."""
    keys = {"kernel": "kernel", "headers": "headers"}
    sources = freertos.Sources(keys, lambda: folder, lambda: folder, arch)
    toolchain = Recorder(*left)
    freertos.build(Store(folder / "store"), toolchain, guest, sources)  # type: ignore[arg-type]
    return toolchain.command


LABS = [
    (ARM32, 0, "arm32", "arm-none-eabi-"),
    (ARM32, 32, "arm32", "arm-none-eabi-"),
    (ARM64, 0, "arm64", "aarch64-linux-gnu-"),
    (ARM64, 64, "arm64", "aarch64-linux-gnu-"),
    (ARM64, 32, "arm32", "arm-none-eabi-"),
]


@pytest.mark.parametrize(("arch", "width", "port", "compiler"), LABS)
def test_an_application_is_built_as_wide_as_its_lab_unless_it_says(
    tmp_path: Path, arch: Architecture, width: int, port: str, compiler: str
) -> None:
    (tmp_path / "app").mkdir()
    guest = GuestSpec("g", FreeRtosApp(tmp_path / "app"), width=width)
    argv = compiled(tmp_path, guest, arch, "app.elf", "app.bin", "FreeRTOS.a").argv
    assert {f"ARCH={port}", f"CROSS_COMPILE={compiler}"} < set(argv)


@pytest.mark.parametrize(("arch", "width", "port", "compiler"), LABS)
def test_a_project_is_told_its_width(
    tmp_path: Path, arch: Architecture, width: int, port: str, compiler: str
) -> None:
    """The compiler wins over a Makefile's own; ARCH does not, because others use that name too."""
    tree = tmp_path / "tree"
    tree.mkdir()
    guest = GuestSpec("g", Project(tree, ("make",), tree / "k"), width=width)
    env = compiled(tmp_path, guest, arch, "k").env
    assert (env["ARCH"], env["CROSS_COMPILE"]) == (port, compiler)
    assert f"CROSS_COMPILE={compiler}" in env["MAKEFLAGS"].split()
    assert "ARCH=" not in env["MAKEFLAGS"]


# ---------------------------------------------------------------- what a build left


def made(folder: Path, kernel: bytes, elf_file: bytes = b"") -> GuestImage:
    def one(kind: str, data: bytes) -> Image:
        (folder / kind).write_bytes(data)
        return Image(kind, folder / kind, "0", len(data), "0")

    return GuestImage("g", one("kernel", kernel), elf=one("elf", elf_file) if elf_file else None)


@pytest.mark.parametrize("width", [0, 64])
def test_a_project_that_builds_for_the_other_width_is_told_both(tmp_path: Path, width: int) -> None:
    guest = GuestSpec("g", Project(tmp_path, ("make",), tmp_path / "k"), width=width)
    words = "'k', which the build made, is 32 bits wide, and the guest is to have 64: .*'width: 32'"
    with pytest.raises(UsageError, match=words):
        guest_check.check(guest, made(tmp_path, zimage()), ARM64)
    with pytest.raises(UsageError, match="the machine is a 32-bit ARM"):
        guest_check.check(GuestSpec("g", guest.program), made(tmp_path, image()), ARM32)
    guest_check.check(guest, made(tmp_path, image()), ARM64)


def test_the_elf_file_is_of_the_same_machine(tmp_path: Path) -> None:
    guest = GuestSpec("g", Project(tmp_path, ("make",), tmp_path / "k"))
    guest_check.check(guest, made(tmp_path, image(), elf(183, bits=64)), ARM64)
    with pytest.raises((UsageError, ConfigError), match="must be the ELF file for 64-bit ARM"):
        guest_check.check(guest, made(tmp_path, image(), elf(40)), ARM64)


def test_who_uses_printf_is_told_of_printk() -> None:
    """The linker names functions that the author of a guest has never heard of."""
    said = "libc_a-sbrkr.o: in function `_sbrk_r':\nundefined reference to `_sbrk'"
    assert "printk" in advice(said)
    assert "printk" in advice("printf.c:41: undefined reference to `stdout'")
    assert advice("undefined reference to `foo'\nundefined reference to `_mine'") == ""
