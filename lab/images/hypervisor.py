"""The hypervisor that the machine boots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import ImageError
from lab.images import deb, zimage
from lab.model import Image, Package
from lab.store import Store

PACKAGE = "xen-hypervisor-4.17-armhf"
RECIPE = 1


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


def _only_zimage(tree: deb.Tree, package: Package) -> bytes:
    found = [tree.find(path) for path in tree.paths() if not re.search(r"\.config$", path)]
    images = [member.data for member in found if member and zimage.is_zimage(member.data)]
    if len(images) != 1:
        raise ImageError(f"{package.name} {package.version} has {len(images)} hypervisors, not 1")
    return images[0]
