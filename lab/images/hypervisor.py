"""The packaged hypervisor, and the check that it fits the tools in dom0.

:mod:`lab.images.xen` builds a hypervisor from source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import ImageError
from lab.images.interface import Interface
from lab.model import ARM32, Architecture, Image, Package, Release
from lab.packages import deb
from lab.store import Store
from lab.util import reading

RECIPE = 1

#: The name that every Xen on ARM writes into the device tree that it makes for dom0
#: (xen/arch/arm/domain_build.c, make_hypervisor_node).
_COMPATIBLE = re.compile(rb"xen,xen-(\d{1,3}\.\d{1,3})\0")


def packaged(
    store: Store,
    packages: Sequence[Package],
    arch: Architecture = ARM32,
    release: Release | None = None,
) -> Image:
    """Debian's release build of Xen, from ``/boot`` in the package.

    ``release``: which release of Xen; ``None``: the architecture's default.

    ``inputs["version"]`` is the package's version, which begins with Xen's.
    """
    package = deb.named(packages, (release or arch.releases[0]).hypervisor(arch.debian))
    inputs = {"recipe": RECIPE, "package": package.sha256, "version": package.version}

    def build(folder: Path) -> None:
        tree = deb.tree([package], lambda path: path.startswith("/boot/xen-"))
        (folder / "xen").write_bytes(_only_kernel(tree, package, arch))

    return store.make("hypervisor", inputs, build).image("xen")


def version(image: Image) -> str:
    """Xen's major and minor version, such as ``4.17``, read from its image; empty if not found."""
    found = _COMPATIBLE.search(reading.data(image.path, reading.IMAGE))
    return found[1].decode() if found else ""


def check_tools(
    name: str,
    image: Image,
    package: Package,
    interfaces: tuple[Interface, Interface] | None = None,
) -> None:
    """Refuse a hypervisor that the packaged tools in dom0 may not work with.

    ``package`` has the tools. ``interfaces``: the hypervisor's and the tools', if they are known.

    Raises:
        ImageError: the versions or the interfaces differ. The message names both.
    """
    tools = package.version
    found = version(image)
    ours, theirs = interfaces or (None, None)
    if found != ".".join(re.split(r"[.+~-]", tools)[:2]) or ours != theirs:
        speaks, understand = (f" ({one})" if one else "" for one in (ours, theirs))
        raise ImageError(
            f"hypervisor {name} is Xen {found or 'of an unknown version'}{speaks}, "
            f"the tools in dom0 ({package.name}) are of Xen {tools}{understand}: "
            "they may not work together; --force boots it anyway",
            hint="build the tools from the same tree (tools: source), use a Xen of the tools' "
            "version, or try it with --force",
        )


def _only_kernel(tree: deb.Tree, package: Package, arch: Architecture) -> bytes:
    found = [tree.find(path) for path in tree.paths() if not re.search(r"\.(config|efi)$", path)]
    images = [member.data for member in found if member and arch.marks_kernel(member.data)]
    if len(images) != 1:
        raise ImageError(f"{package.name} {package.version} has {len(images)} hypervisors, not 1")
    return images[0]
