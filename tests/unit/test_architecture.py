"""The facts of an architecture, and that what is made depends on them."""

from __future__ import annotations

import re
from dataclasses import replace

from lab.images import hypervisor, recipes
from lab.model import ARCHITECTURES, ARM32
from lab.packages import lock
from lab.toolchain import recipe
from lab.util.resources import resource
from lab.workshop.provision import KERNEL, PLATFORM, locked, platform


def test_names_in_debian_are_those_of_the_lock() -> None:
    """Every architecture's kernel, hypervisor and tools are locked under these names."""
    pins = lock.load(resource("labs.lock"))
    for arch in ARCHITECTURES:
        names = [pin.name for pin in locked(pins, platform(arch))]
        assert {arch.debian.hypervisor, hypervisor.TOOLS} <= set(names)
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
