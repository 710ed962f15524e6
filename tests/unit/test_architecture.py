"""The facts of an architecture, and that what is made depends on them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lab import config
from lab import plan as planning
from lab.api import Context, make_plan
from lab.config import arch as of_lab
from lab.dom0.steps import MAILBOXES
from lab.errors import ConfigError, ImageError, UsageError
from lab.images import contents, recipes
from lab.model import (
    ARCHITECTURES,
    ARM32,
    ARM64,
    Clock,
    GuestSpec,
    HypervisorSpec,
    Lab,
    LinuxGuest,
    Place,
    board_arguments,
)
from lab.model.architecture import of_run
from lab.packages import lock
from lab.progress import Progress
from lab.toolchain import recipe
from lab.util.resources import resource
from lab.workshop.prepare import Workshop
from lab.workshop.questions import (
    KERNEL,
    PLATFORM,
    TOOLCHAIN,
    linux,
    locked,
    of,
    platform,
    toolchain,
)


def test_names_in_debian_are_those_of_the_lock() -> None:
    """Every architecture's kernel, hypervisor and tools are locked under these names."""
    pins = lock.load(resource("labs.lock"))
    for arch in ARCHITECTURES:
        names = [pin.name for pin in locked(pins, platform(arch))]
        release = arch.releases[0]
        assert {release.hypervisor(arch.debian), release.tools} <= set(names)
        kernels = [name for name in names if re.fullmatch(arch.debian.kernel_pattern, name)]
        assert len(kernels) == 1, names
    assert locked(pins, KERNEL)


def test_the_toolchain_has_the_programs_of_each() -> None:
    """No architecture needs a package that is not in the list, and no needed file is left out."""
    for arch in ARCHITECTURES:
        assert set(arch.programs.values()) <= set(recipe.package_list(arch))
        assert not {f"usr/bin/{name}" for name in arch.programs} & set(recipe.pruned(arch))


def test_another_architecture_has_other_packages_and_other_images() -> None:
    other = replace(ARM32, debian=replace(ARM32.debian, name="arm64", flavour="arm64"))
    assert platform(other) != PLATFORM
    assert "linux-image-arm64" in platform(other).wanted
    assert recipes.facts(other) != recipes.facts(ARM32)


def test_only_kernels_of_the_flavour_itself_are_taken() -> None:
    """Debian has more flavours, whose names end in the same way."""
    debian = replace(ARM32.debian, name="arm64", flavour="arm64")
    names = ("linux-image-6.1.0-50-arm64", "linux-image-6.12.43+deb13-arm64")
    others = ("linux-image-6.1.0-50-cloud-arm64", "linux-image-6.1.0-50-rt-arm64",
              "linux-image-arm64", "linux-image-6.1.0-50-arm64-dbg")  # fmt: skip
    found = [one for one in (*names, *others) if re.fullmatch(debian.kernel_pattern, one)]
    assert found == list(names)


def test_each_has_a_toolchain_of_its_own() -> None:
    """Nothing of one architecture's compiler is in the other's tree; the lock tells them apart."""
    assert toolchain(ARM32) == TOOLCHAIN
    assert toolchain(ARM64).name == "trixie/amd64/arm64" != TOOLCHAIN.name
    assert not set(ARM64.cross_packages) & set(recipe.package_list())
    assert not set(ARM32.cross_packages) & set(recipe.package_list(ARM64))
    assert "usr/bin/qemu-system-aarch64" in recipe.pruned()
    assert "usr/bin/qemu-system-arm" in recipe.pruned(ARM64)
    assert recipe.recipe_key(ARM64) != recipe.recipe_key(ARM32)


def test_lines_of_the_contents_may_be_for_one_architecture() -> None:
    text = "only arm64 module one\nmodule two\nonly arm32 link a -> b\n"
    assert contents.parse(text, ARM64).modules == ("one", "two")
    assert contents.parse(text, ARM64).links == {}
    assert contents.parse(text).modules == ("two",)
    assert contents.parse(text).links == {"a": "b"}
    with pytest.raises(ImageError, match="line 1"):
        contents.parse("only arm64\n")


def test_the_mailbox_has_the_layout_of_c() -> None:
    """Fields of 8 bytes are aligned to 8 bytes in both."""
    assert MAILBOXES[4].size == 56
    assert MAILBOXES[8].size == 72


def test_labs_of_64_bits_run_guests_of_both_widths() -> None:
    assert [one.bits for one in ARM32.guests] == [32]
    assert [one.bits for one in ARM64.guests] == [64, 32]
    assert (ARM64.of_guest(0), ARM64.of_guest(32), ARM32.of_guest(0)) == (ARM64, ARM32, ARM32)
    with pytest.raises(KeyError):
        ARM32.of_guest(64)


def test_only_a_guest_that_is_too_wide_is_refused() -> None:
    """At its place; the hint says which labs run it."""
    places = {"width": Place(Path("labs.yaml"), 3, 7), "": Place(Path("labs.yaml"), 2, 3)}
    wide = GuestSpec("wide", LinuxGuest(Path("files")), width=64, places=places)
    assert of_lab.too_wide([wide, replace(wide, width=32), replace(wide, width=0)], ARM64) == []
    (refused,) = of_lab.too_wide([wide, replace(wide, width=32), replace(wide, width=0)], ARM32)
    assert refused.place == places["width"]
    assert "a lab of arm32 has no guests of 64 bits" in refused.text
    assert "--arch arm64" in refused.text


def test_packages_of_a_narrow_linux_guest_are_those_of_the_lock() -> None:
    """The kernel that labs of arm32 have, and busybox; nothing else of their platform."""
    pins = locked(lock.load(resource("labs.lock")), linux(ARM32))
    assert sorted(pin.name for pin in pins if not pin.name.startswith("linux-image-6")) == [
        "busybox-static"
    ]
    assert set(pins) < set(locked(lock.load(resource("labs.lock")), PLATFORM))


def test_each_release_of_xen_has_packages_of_its_own_debian() -> None:
    """Of one suite: the hypervisor, its tools, dom0's kernel, and what tools are built against."""
    old, new = ARM64.releases
    assert platform(ARM64) == platform(ARM64, old) != platform(ARM64, new)
    wanted = {"xen-hypervisor-4.20-arm64", "xen-utils-4.20", "linux-image-arm64"}
    assert wanted <= set(platform(ARM64, new).wanted)
    names = [question.name for question in of(ARM64)]
    assert names == [
        "trixie/amd64/arm64", "bookworm/arm64", "bookworm/arm64/tools",
        "trixie/arm64", "trixie/arm64/tools",
    ]  # fmt: skip


def test_a_workshop_refuses_a_release_before_anything_is_made() -> None:
    workshop = Workshop(None, Progress(quiet=True), lock.Lock())
    with pytest.raises(UsageError, match=r"hypervisor new: Debian has no Xen 4\.20 for arm32"):
        workshop.hypervisor(HypervisorSpec("new", release="4.20"))


def test_a_release_of_xen_that_debian_does_not_have_is_named() -> None:
    """Debian 13 has no Xen for 32-bit ARM."""
    lab = Lab("one", HypervisorSpec("new", release="4.20"), arch=ARM64)
    assert of_lab.refused(lab) == ""
    assert of_lab.refused(replace(lab, arch=ARM32)) == (
        "hypervisor 'new': Debian has no Xen 4.20 for arm32: it has 4.17; arm64 has 4.17 and 4.20"
    )


def test_the_board_has_the_lab_s_cpu_and_interrupt_controller() -> None:
    """Without either, the defaults; the arguments of ARM32 are those of all published runs."""
    old = board_arguments(planning.machine(Lab("one", HypervisorSpec("stock")), Clock.HOST))
    assert old[:4] == ("-machine", "virt,virtualization=on,highmem=off", "-cpu", "cortex-a15")
    lab = Lab("one", HypervisorSpec("stock"), arch=ARM64, cpu="cortex-a72", gic=3)
    found = board_arguments(planning.machine(lab, Clock.HOST))
    assert found[:4] == (
        "-machine", "virt,virtualization=on,gic-version=3,highmem=off", "-cpu", "cortex-a72"
    )  # fmt: skip
    plain = board_arguments(planning.machine(replace(lab, cpu="", gic=0), Clock.HOST))
    assert "gic-version=2" in plain[1]
    assert plain[3] == ARM64.cpus[0]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("cpu: cortex-a57", "2:14: 'cpu': arm32 has no CPU 'cortex-a57'; it has cortex-a15"),
        ("gic: 3", "2:14: 'gic': arm32 has no interrupt controller of version 3, only 2"),
        ("arch: arm64, cpu: cortex-a15", "2:27: 'cpu': arm64 has no CPU 'cortex-a15'"),
        ("arch: arm64, cpu: cortex-a5", "2:27: 'cpu': unknown value 'cortex-a5'"),
        ("gic: 4", "2:14: 'gic': '4' is not a number from 2 to 3"),
        ("gic: x", "2:14: 'gic'"),
    ],
)
def test_a_wrong_cpu_or_controller_is_an_error_at_its_place(
    tmp_path: Path, written: str, words: str
) -> None:
    file = tmp_path / "labs.yaml"
    file.write_text(f"labs:\n  one: {{{written}}}\n")
    with pytest.raises(ConfigError, match=re.escape(words)):
        config.load(file)


def test_an_option_does_not_fit_what_labs_yaml_says(tmp_path: Path) -> None:
    """``--arch`` wins over labs.yaml; a lab that names another architecture's CPU is refused."""
    file = tmp_path / "labs.yaml"
    file.write_text("labs:\n  one: {arch: arm64, cpu: max, gic: 3}\n")
    assert make_plan(Context(file), "one").machine.gic == 3
    with pytest.raises(UsageError, match=r"lab one: arm32 has no CPU .*max.*version 3, only 2"):
        make_plan(Context(file, arch=ARM32), "one")


def test_a_run_of_an_older_version_is_arm32() -> None:
    assert of_run({"arch": "arm64"}) is ARM64
    assert of_run({}) is ARM32


def test_a_lab_of_labs_yaml_names_its_architecture(tmp_path: Path) -> None:
    """A wrong one, and what it lacks, are mistakes at their places."""
    file = tmp_path / "labs.yaml"
    file.write_text("labs:\n  one: {arch: arm64}\n  two: {}\n")
    labs = config.load(file).labs
    assert (labs["one"].arch, labs["two"].arch) == (ARM64, ARM32)
    file.write_text("labs:\n  one: {arch: arm65}\n")
    with pytest.raises(ConfigError, match="2:15: 'arch'"):
        config.load(file)
