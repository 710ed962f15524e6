"""The hypervisor that the machine boots: packaged, or built from source (lab.images.xen)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import ImageError
from lab.images import zimage
from lab.images.interface import Interface
from lab.model import Image, Package
from lab.packages import deb
from lab.store import Store
from lab.util import reading

PACKAGE = "xen-hypervisor-4.17-armhf"
#: The tools in dom0. They speak to the hypervisor of the same major and minor version only:
#: the interface of sysctl and domctl may change with each (xen/include/public/domctl.h).
TOOLS = "xen-utils-4.17"
RECIPE = 1

#: What every Xen on ARM names itself to dom0, in the device tree that it makes for it
#: (xen/arch/arm/domain_build.c, make_hypervisor_node).
_COMPATIBLE = re.compile(rb"xen,xen-(\d{1,3}\.\d{1,3})\0")


def packaged(store: Store, packages: Sequence[Package]) -> Image:
    """Debian's release build of Xen, as it lies in the package's ``/boot``.

    ``inputs["version"]`` is the package's version, which begins with Xen's.
    """
    package = deb.named(packages, PACKAGE)
    inputs = {"recipe": RECIPE, "package": package.sha256, "version": package.version}

    def build(folder: Path) -> None:
        tree = deb.tree([package], lambda path: path.startswith("/boot/xen-"))
        (folder / "xen").write_bytes(_only_zimage(tree, package))

    return store.make("hypervisor", inputs, build).image("xen")


def version(image: Image) -> str:
    """Xen's major and minor version, ``4.17``, read out of its image; empty if it has none."""
    found = _COMPATIBLE.search(reading.data(image.path, reading.IMAGE))
    return found[1].decode() if found else ""


def check_tools(
    name: str,
    image: Image,
    packages: Sequence[Package],
    interfaces: tuple[Interface, Interface] | None = None,
) -> None:
    """Refuse a hypervisor that the packaged tools in dom0 cannot speak to.

    ``interfaces`` are those of the hypervisor and of the tools, if they are known.

    Raises:
        ImageError: its version or its interface is not theirs; both are named.
    """
    tools = deb.named(packages, TOOLS).version
    found = version(image)
    ours, theirs = interfaces or (None, None)
    if found != ".".join(re.split(r"[.+~-]", tools)[:2]) or ours != theirs:
        speaks, understand = (f" ({one})" if one else "" for one in (ours, theirs))
        raise ImageError(
            f"hypervisor {name} is Xen {found or 'of an unknown version'}{speaks}, "
            f"the tools in dom0 ({TOOLS}) are of Xen {tools}{understand}: "
            "they may not understand each other; --force boots it anyway",
            hint="have the tools built from the same tree (tools: source), use a Xen of the tools' "
            "version, or see how far it gets: --force",
        )


def _only_zimage(tree: deb.Tree, package: Package) -> bytes:
    found = [tree.find(path) for path in tree.paths() if not re.search(r"\.config$", path)]
    images = [member.data for member in found if member and zimage.is_zimage(member.data)]
    if len(images) != 1:
        raise ImageError(f"{package.name} {package.version} has {len(images)} hypervisors, not 1")
    return images[0]
