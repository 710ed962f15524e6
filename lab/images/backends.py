"""What a guest with disks or network interfaces needs besides its kernel.

dom0's part is an archive of its own: drivers and the scripts that ``xl`` calls. dom0 gets it with
the first such guest, so the initramfs of all other labs is as small as ever. A disk is a file of
the user's, used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import UsageError
from lab.images import drivers, newc, recipes
from lab.model import ARM32, Architecture, Disk, Image, Package
from lab.store import Store
from lab.util import reading, sparse
from lab.util.terminal import quote

#: The folder in dom0 with the drivers, in the order of the file ``order``.
DRIVERS = "lab/backends"
#: Names of busybox that the scripts use and dom0 lacks.
APPLETS = ("bin/brctl", "sbin/ip")
#: The scripts: file in images/backends → path in dom0.
SCRIPTS = {
    "block": "etc/xen/scripts/block",
    "vif-bridge": "etc/xen/scripts/vif-bridge",
    "lab-backends": "usr/sbin/lab-backends",
}


def archive(store: Store, packages: Sequence[Package], arch: Architecture = ARM32) -> Image:
    """dom0's part: a cpio archive, to be unpacked in ``/``.

    Raises:
        ImageError: the kernel's package lacks a driver.
    """
    here = recipes.folder("backends")
    code = recipes.hashes(here, Path(__file__), Path(newc.__file__))

    def build(folder: Path) -> None:
        (folder / "archive").write_bytes(newc.archive([
            *(newc.link(path, "/bin/busybox") for path in APPLETS),
            *(newc.file(path, reading.data(here / name), 0o755)
              for name, path in SCRIPTS.items()),
            *drivers.items(store, packages, drivers.BACKENDS, DRIVERS, arch),
        ]))  # fmt: skip

    inputs = {"recipe": code, "drivers": drivers.key(packages, arch)}
    return store.make("dom0-backends", inputs, build).image("archive")


def disk(guest: str, wanted: Disk) -> Image:
    """The image of a disk: the user's file. ``inputs``: how many bytes of it are data.

    Raises:
        UsageError: it cannot be read.
    """
    identity = sparse.Identity()
    try:
        with reading.binary(wanted.file) as file:
            size = sparse.size(file)
            for piece in sparse.pieces(file):
                identity.add(piece)
    except OSError as error:
        raise UsageError(
            f"guest {guest}: disk {quote(wanted.file.name)}: {error.strerror or error}"
        ) from error
    name = identity.of(size)
    inputs = {"file": wanted.file.name, "data": identity.data}
    return Image("disk", wanted.file, name, size, name, inputs)
