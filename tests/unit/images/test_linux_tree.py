"""A tree of Linux for dom0: what is checked before the build, and the file that stands in for bc.

No test compiles Linux: it takes half an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from lab.errors import ImageError
from lab.images import linux_tree, own_modules, timeconst
from lab.model import (
    ARCHITECTURES,
    ARM64,
    Architecture,
    Command,
    Completed,
    Dom0Spec,
    Toolchain,
)
from lab.store import Store

#: What Linux's own kernel/time/timeconst.bc gives for a tick of 250 a second.
OF_250 = """\
HZ_TO_MSEC_MUL32 U64_C(0x80000000)
HZ_TO_MSEC_ADJ32 U64_C(0x0)
HZ_TO_MSEC_SHR32 29
MSEC_TO_HZ_MUL32 U64_C(0x80000000)
MSEC_TO_HZ_ADJ32 U64_C(0x180000000)
MSEC_TO_HZ_SHR32 33
HZ_TO_USEC_MUL32 U64_C(0xfa000000)
HZ_TO_USEC_ADJ32 U64_C(0x0)
HZ_TO_USEC_SHR32 20
USEC_TO_HZ_MUL32 U64_C(0x83126e98)
USEC_TO_HZ_ADJ32 U64_C(0x7ff7ced9168)
USEC_TO_HZ_SHR32 43
HZ_TO_MSEC_NUM 4
HZ_TO_MSEC_DEN 1
MSEC_TO_HZ_NUM 1
MSEC_TO_HZ_DEN 4
HZ_TO_NSEC_NUM 4000000
HZ_TO_NSEC_DEN 1
"""


class Making:
    """A toolchain in which ``make`` leaves what a test wants, and keeps its command lines."""

    key = "k"

    def __init__(self, config: str) -> None:
        self.config = config
        self.lines: list[list[str]] = []

    def run(self, command: Command, *, check: bool = True) -> Completed:
        del check
        self.lines.append([*command.argv])
        out = next(mount.source for mount in command.mounts if mount.target == linux_tree.OUT)
        if command.argv[-1] == "olddefconfig":
            (out / ".config").write_text(self.config or (out / ".config").read_text())
        elif command.argv[-1] in ("zImage", "Image"):
            (arch,) = (word[5:] for word in command.argv if word.startswith("ARCH="))
            (out / "arch" / arch / "boot").mkdir(parents=True, exist_ok=True)
            (out / "arch" / arch / "boot" / command.argv[-1]).write_bytes(b"a kernel")
        return Completed((*command.argv,), 0, b"", b"", 0.0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """As much of a tree of Linux as is looked at."""
    for name in ("Kbuild", "arch/arm/Kconfig", "arch/arm64/Kconfig"):
        path = tmp_path / "linux" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path / "linux"


def built(folder: Path, spec: Dom0Spec, toolchain: Any) -> bytes:
    return linux_tree.build(
        Store(folder / "cache"), cast("Toolchain", toolchain), spec
    ).path.read_bytes()


def test_the_lab_sets_what_dom0_needs(tree: Path, tmp_path: Path) -> None:
    """After the user's own settings, so that it wins; a tree that is clean is not copied."""
    own = tmp_path / "my.config"
    own.write_text("CONFIG_XENFS=m\nCONFIG_MINE=y\n")
    making = Making("")
    assert built(tmp_path, Dom0Spec(source=tree, config=(own,)), making) == b"a kernel"
    assert [line[-1] for line in making.lines] == ["olddefconfig", "zImage"]
    kept = next(tmp_path.rglob("files/config")).read_text()
    assert kept.startswith("CONFIG_XENFS=m\nCONFIG_MINE=y\n")
    assert kept.rindex("CONFIG_XENFS=y") > kept.index("CONFIG_XENFS=m")
    assert built(tmp_path, Dom0Spec(source=tree, config=(own,)), Making("x")) == b"a kernel"
    manifest = json.loads(next(tmp_path.rglob("manifest.json")).read_text())
    assert len(manifest["inputs"]["source"]) == 64  # not one hash for each of 80,000 files


def test_a_tree_that_was_built_in_place_is_copied(tree: Path, tmp_path: Path) -> None:
    """And cleaned there; its own .config is the default."""
    (tree / ".config").write_text("CONFIG_OLD=y\n")
    making = Making("")
    built(tmp_path, Dom0Spec(source=tree), making)
    assert [line[-1] for line in making.lines] == ["mrproper", "olddefconfig", "zImage"]
    assert (tree / ".config").read_text() == "CONFIG_OLD=y\n"
    assert not list((tmp_path / "cache").rglob(".work"))


def test_objects_stay_for_the_next_commit(tree: Path, tmp_path: Path) -> None:
    """Unless that fails: then it is built from nothing."""
    (tree / ".config").write_text("CONFIG_OLD=y\n")  # so that each build has a copy of the tree
    work = tmp_path / "work/linux"
    spec = Dom0Spec(source=tree, work=work)
    built(tmp_path, spec, Making(""))
    (work / "out/one.o").touch()
    (tree / "Kbuild").write_text("# another commit")
    built(tmp_path, spec, Making(""))
    assert (work / "out/one.o").exists()
    (tree / "Kbuild").write_text("# a third one")
    with pytest.raises(ImageError, match="does not take"):
        built(tmp_path, spec, Making("CONFIG_OLD=y\n"))
    assert not (work / "out/one.o").exists()
    making = Making("")
    built(tmp_path, spec, making)
    assert [line[-1] for line in making.lines] == ["mrproper", "olddefconfig", "zImage"]


def test_what_a_tree_lacks_is_named_before_it_is_compiled(tree: Path, tmp_path: Path) -> None:
    spec = Dom0Spec(source=tree)
    with pytest.raises(ImageError, match=r"has no \.config, and dom0 has no 'config'"):
        built(tmp_path, spec, Making(""))
    (tree / ".config").write_text("")
    have = [f"{name}=y\n" for name in linux_tree.settings() if name != "CONFIG_XENFS"]
    making = Making("".join(have))
    with pytest.raises(ImageError, match=r"this tree does not take CONFIG_XENFS\n"):
        built(tmp_path, spec, making)
    assert making.lines[-1][-1] == "olddefconfig"
    (tree / "Kbuild").unlink()
    with pytest.raises(ImageError, match="is not a tree of Linux"):
        built(tmp_path, spec, Making(""))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_need_is_set(arch: Architecture) -> None:
    """A kernel from a tree passes the check that other kernels must pass."""
    wanted = {*own_modules.needed(arch), *own_modules.OPTIONS.values()}
    assert wanted <= set(linux_tree.settings(arch))


def test_a_tree_is_built_for_the_architecture(tree: Path, tmp_path: Path) -> None:
    (tree / ".config").write_text("")
    making = Making("")
    toolchain = cast("Toolchain", making)
    spec = Dom0Spec(source=tree)
    made = linux_tree.build(Store(tmp_path / "cache"), toolchain, spec, ARM64)
    assert made.path.name == making.lines[-1][-1] == "Image"
    assert {"ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"} <= {*making.lines[-1]}
    assert "CONFIG_ARCH_MULTI_V7" not in linux_tree.settings(ARM64)


def test_time_constants() -> None:
    """The program runs on its own, as in the toolchain, and gives Linux's numbers."""
    argv = [sys.executable, str(timeconst.__file__), "250"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = {line.removeprefix("#define ") for line in said.splitlines()}
    assert set(OF_250.splitlines()) <= lines


@pytest.mark.parametrize("hz", [24, 100, 128, 200, 250, 300, 1000, 1024])
def test_time_constants_convert(hz: int) -> None:
    """As kernel/time/time.c uses them: down from ticks, up to ticks, for whole seconds and less."""
    for second in (1_000, 1_000_000):
        pair = hz, second
        bits = timeconst.shift(*pair)
        assert 1 << 31 <= timeconst.multiplier(bits, *pair) < 1 << 32
        for amount in (0, 1, 7, second - 1, second, 3 * second + 1):
            product = timeconst.multiplier(bits, *pair) * amount
            ticks = (product + timeconst.adjustment(bits, *pair)) >> bits
            assert ticks == -(-Fraction(amount * hz, second) // 1)
