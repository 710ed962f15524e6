"""A kernel of the user's own for dom0: what it says of itself, and whether dom0 can run with it."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
import samples

from lab.images import contents, kernel_facts, modules, recipes
from lab.images.kernel_facts import KernelFacts
from lab.images.own_modules import OPTIONS, Lacking, drivers, needed
from lab.model import ARM64
from lab.util import kconfig

RELEASE = "6.12.1-mine"
MAGIC = f"{RELEASE} SMP mod_unload ARMv7 p2v8"
FACTS = KernelFacts(RELEASE, MAGIC)
WANTED = ("virtio_mmio", "xen-evtchn", "xenfs")


def image(config: str = "") -> bytes:
    """What is in an unpacked kernel, as far as it is looked at."""
    kept = b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED" if config else b""
    words = f"Linux version {RELEASE} (me@here) (gcc 14) #1".encode()
    return b"code\0" + words + b"\0\0" + f"{MAGIC} ".encode() + b"\0" + kept + b"more"


def config(**changes: str) -> str:
    """A configuration with everything that dom0 needs, except for ``changes``."""
    options = dict.fromkeys([*needed(), *OPTIONS.values()], "y") | changes
    return "".join(f"{name}={value}\n" for name, value in options.items())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `make modules_install` leaves it: two modules of three, one packed; one is built
    in."""
    top = tmp_path / "lib/modules" / RELEASE
    (top / "kernel").mkdir(parents=True)
    (top / "modules.builtin").write_text("kernel/drivers/virtio/virtio_mmio.ko\n")
    (top / "kernel/xenfs.ko").write_bytes(samples.module("xenfs", ["xen_privcmd"], MAGIC))
    for name in ("xen-evtchn", "xen-privcmd"):
        packed = lzma.compress(samples.module(name, (), MAGIC))
        (top / f"kernel/{name}.ko.xz").write_bytes(packed)
    return tmp_path


@pytest.mark.parametrize("packed", ["xz", "gzip"])
def test_what_a_kernel_says(packed: str) -> None:
    found = kernel_facts.read(samples.vmlinuz(image("CONFIG_XEN=y\n"), packed=packed))
    assert found == KernelFacts(RELEASE, MAGIC, {"CONFIG_XEN": "y"})


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (samples.vmlinuz(b"no Linux at all"), "it has no 'Linux version …' in it"),
        (samples.vmlinuz(image())[:100], "the zImage has no table of sizes"),
        (samples.vmlinuz(image(), size=7), "unpacks to"),
        (b"", "no zImage header"),
    ],
)
def test_a_kernel_that_says_nothing(data: bytes, note: str) -> None:
    found = kernel_facts.read(data)
    assert note in found.note
    assert not found.release


def test_what_an_image_of_arm64_says() -> None:
    """It is not packed. dom0's programs need fewer options there."""
    data = b"\0" * 0x38 + b"ARMd" + image("CONFIG_XEN=y\n")
    assert kernel_facts.read(data) == KernelFacts(RELEASE, MAGIC, {"CONFIG_XEN": "y"})
    assert {*needed()} - {*needed(ARM64)} == {"CONFIG_VFP", "CONFIG_COMPAT_32BIT_TIME"}


def test_a_damaged_copy_of_the_configuration() -> None:
    assert kernel_facts.read(samples.vmlinuz(b"Linux version 6 IKCFG_STnonsense")).config == {}


@pytest.mark.parametrize("below", ["", "lib/modules", f"lib/modules/{RELEASE}"])
def test_modules_that_are_not_built_in(folder: Path, below: str) -> None:
    """Each after those that it needs; the folder may be any above them."""
    found = drivers(WANTED, FACTS, folder / "zImage", folder / below)
    assert [name for name, _ in found] == ["xen_evtchn", "xen_privcmd", "xenfs"]
    assert found[0][1] == samples.module("xen-evtchn", (), MAGIC)


def test_everything_built_in(folder: Path) -> None:
    """The kernel's own copy of its configuration, or one beside it, says so."""
    inside = KernelFacts(RELEASE, MAGIC, kconfig.parse(config()))
    assert drivers(WANTED, inside, folder / "zImage", None) == []
    (folder / ".config").write_text(config())
    assert drivers(WANTED, FACTS, folder / "zImage", None) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"xenfs": None}, "modules", f"kernel {RELEASE}: not built in and not in .*: xenfs"),
        ({"xen-privcmd": None}, "modules", "has no module xen_privcmd needed by xenfs"),
        ({"xenfs": "6.1.0-5"}, "modules", "xenfs is for a kernel '6.1.0-5', and this one is '6.1"),
        ({"xenfs": b"no module"}, "modules", "kernel module xenfs: "),
        ({"xen-evtchn": b"\xfd7zXZ\x00"}, "modules", "xen-evtchn.ko.xz is damaged"),
    ],
)
def test_what_dom0_lacks_is_named(
    folder: Path, change: dict[str, str | bytes | None], key: str, words: str
) -> None:
    for name, value in change.items():
        path = next(folder.rglob(f"{name}.ko*"))
        path.unlink()
        if value is not None:
            made = samples.module(name, ["xen_privcmd"], value) if isinstance(value, str) else value
            path.write_bytes(made)
    with pytest.raises(Lacking, match=words) as caught:
        drivers(WANTED, FACTS, folder / "zImage", folder)
    assert caught.value.key == key


def test_a_kernel_without_what_dom0_needs(folder: Path) -> None:
    kernel = folder / "zImage"
    with pytest.raises(Lacking, match=r"not known whether .* virtio_mmio, xen_evtchn, xenfs; give"):
        drivers(WANTED, FACTS, kernel, None)
    (folder / ".config").write_text(config(CONFIG_XENFS="m"))
    with pytest.raises(Lacking, match=f"kernel {RELEASE} has these drivers not built in: xenfs;"):
        drivers(WANTED, FACTS, kernel, None)
    (folder / ".config").write_text(config(CONFIG_RD_LZ4="n", CONFIG_XEN="n"))
    with pytest.raises(Lacking, match="it lacks CONFIG_XEN, CONFIG_RD_LZ4"):
        drivers(WANTED, FACTS, kernel, folder)


def test_every_module_of_dom0_has_its_option() -> None:
    """A driver that is added to dom0 gets its option here."""
    listed = contents.parse((recipes.folder("dom0") / "contents").read_text()).modules
    assert {modules.canonical(name) for name in listed} == set(OPTIONS)
