"""A Linux guest's kernel and initramfs."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
import samples
from kernel_files import image

from lab import config
from lab import plan as planning
from lab.errors import ConfigError, UsageError
from lab.images import linux, zimage
from lab.model import ARM32, ARM64, Architecture, LinuxGuest
from lab.store import Store

UNWRAPPED = zimage.Unwrapped(b"kernel" * 100, 0x208000, 0x1000)
LABS = """\
guests:
  linux: {linux: files, cmdline: "more=1"}
  small: {linux: files/, memory: 64M}
labs:
  both: {guests: [linux, small]}
"""


def test_the_kernel_lies_where_it_was_linked_to() -> None:
    """A zImage that branches to it. Its header gives the size of all of it."""
    made = linux.placed(UNWRAPPED)
    place = UNWRAPPED.text_offset - zimage.LOADED_AT
    assert zimage.is_zimage(made)
    assert made[place:] == UNWRAPPED.image
    (branch, _, start, end) = struct.unpack_from("<4I", made, 0x20)
    assert (branch >> 24, (branch & 0xFFFFFF) * 4 + 0x28) == (0xEA, place)
    assert end - start == len(made)


def test_a_guest_that_xen_boots_asks_to_be_loaded_there() -> None:
    """Xen goes by the header, where ``xl`` does not; all else is the same."""
    made = linux.placed(UNWRAPPED, 0x40008000)
    (start, end) = struct.unpack_from("<2I", made, 0x28)
    assert (start, end - start) == (0x40008000, len(made))
    plain = linux.placed(UNWRAPPED)
    assert made[:0x28] + made[0x30:] == plain[:0x28] + plain[0x30:]


@pytest.mark.parametrize("offset", [0x8000, 0x208002])
def test_a_strange_place_is_refused(offset: int) -> None:
    """Then the packaged kernel is used unchanged."""
    with pytest.raises(ValueError, match="unexpected"):
        linux.placed(replace(UNWRAPPED, text_offset=offset))


@pytest.mark.parametrize("arch", [ARM32, ARM64])
def test_a_kernel_of_arm64_is_used_as_it_is_packaged(tmp_path: Path, arch: Architecture) -> None:
    """Each architecture has its own kernel's package."""
    name = f"linux-image-6.1.0-50-{arch.debian.flavour}"
    data = image(4096) if arch == ARM64 else b"no zImage"
    package = samples.package(tmp_path, name, {"boot/vmlinuz-6.1": data})
    made = linux.kernel(Store(tmp_path / "store"), [package], arch=arch)
    assert made.path.read_bytes() == data
    assert (made.path.parent / "note").exists() == (arch == ARM32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/init").write_text("#!/bin/busybox sh\n")
    (tmp_path / "labs.yaml").write_text(LABS)
    return tmp_path


def test_labs_yaml_says_it_in_one_word(folder: Path) -> None:
    """Only the folder is named. The memory has its own default, and the console is set."""
    labs = config.load(folder / "labs.yaml")
    spec = labs.guests["linux"]
    assert spec.program == LinuxGuest(folder / "files")
    assert (spec.memory >> 20, labs.guests["small"].memory >> 20) == (96, 64)
    lines = planning.xl_config(spec).splitlines()
    assert 'ramdisk = "/lab/guests/linux.ramdisk"' in lines
    (cmdline,) = [line for line in lines if line.startswith("cmdline")]
    assert cmdline.startswith('cmdline = "console=hvc0 ')
    assert cmdline.endswith(' more=1"')


def test_a_folder_without_init_is_refused(folder: Path) -> None:
    """At its line, with the missing file."""
    (folder / "files/init").unlink()
    labs = config.load(folder / "labs.yaml")
    with pytest.raises(ConfigError, match=r"labs.yaml:2:18: 'linux': no such file: 'files/init'"):
        config.find_startable(labs, "both")


def test_what_does_not_go_with_it(folder: Path) -> None:
    """A guest with a kernel of its own is another kind of guest."""
    text = "guests: {a: {linux: files, kernel: k}}\nlabs: {one: {guests: [a]}}\n"
    (folder / "labs.yaml").write_text(text)
    with pytest.raises(ConfigError, match="'kernel' is not allowed here: the lab makes"):
        config.load(folder / "labs.yaml")


@pytest.mark.parametrize(
    ("first", "there", "works"),
    [
        ("#!/bin/busybox sh", "", True),
        ("#! /bin/sh -e", "", False),
        ("#!/bin/sh", "bin/sh", True),
        ("\x7fELF", "", True),
        ("#!", "", True),
    ],
)
def test_init_needs_a_shell_that_is_there(
    folder: Path, first: str, there: str, works: bool
) -> None:
    """Linux itself would say that there is no working init. A link need not lead anywhere here."""
    (folder / "files/init").write_text(f"{first}\n")
    if there:
        (folder / "files" / there).parent.mkdir()
        (folder / "files" / there).symlink_to("/bin/busybox-of-the-guest")
    if works:
        linux._check_shell(folder / "files")
        return
    with pytest.raises(UsageError, match=r"init begins with #!/bin/sh, which") as error:
        linux._check_shell(folder / "files")
    assert linux.SHELL in error.value.hint
