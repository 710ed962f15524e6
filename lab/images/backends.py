"""What a guest with disks or network interfaces needs besides its kernel.

dom0's part is an archive of its own: drivers and the scripts that ``xl`` calls. dom0 gets it with
the first such guest, so the initramfs of all other labs is as small as ever. A disk is a file of
the user's, used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import UsageError
from lab.images import contents, dom0, modules, newc, recipes
from lab.model import Disk, Image, Package
from lab.packages import deb
from lab.store import Store
from lab.util import reading, sparse
from lab.util.terminal import quote

#: The folder in dom0 with the drivers, in the order of the file ``order``.
DRIVERS = "lab/backends"
#: The scripts: file in images/backends → path in dom0.
SCRIPTS = {
    "block": "etc/xen/scripts/block",
    "vif-bridge": "etc/xen/scripts/vif-bridge",
    "lab-backends": "usr/sbin/lab-backends",
}


def archive(store: Store, packages: Sequence[Package]) -> Image:
    """dom0's part: a cpio archive, to be unpacked in ``/``.

    Raises:
        ImageError: the kernel's package lacks a driver.
    """
    here, kernel = recipes.folder("backends"), dom0.kernel_package(packages)
    rooms = (contents, deb, modules, newc)
    code = [Path(__file__), *(Path(str(room.__file__)) for room in rooms)]
    inputs = {"recipe": recipes.hashes(here, *code), "package": kernel.sha256}

    def build(folder: Path) -> None:
        wanted = contents.parse((here / "contents").read_text())
        (folder / "archive").write_bytes(newc.archive([
            *(newc.link(path, "/bin/busybox") for path in wanted.applets),
            *(newc.file(path, (here / name).read_bytes(), 0o755)
              for name, path in SCRIPTS.items()),
            *drivers(kernel, wanted.modules, DRIVERS),
        ]))  # fmt: skip

    return store.make("dom0-backends", inputs, build).image("archive")


def drivers(kernel: Package, wanted: Sequence[str], folder: str) -> list[newc.Item]:
    """Drivers of the kernel as files of ``folder``, and the file ``order`` with their names."""
    found = modules.taken([kernel], wanted)
    order = "".join(f"{name}\n" for name, _ in found).encode()
    return [
        newc.file(f"{folder}/order", order),
        *(newc.file(f"{folder}/{name}.ko", data) for name, data in found),
    ]


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
