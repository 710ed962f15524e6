"""Says in one line which packages drifted from the lock, and whether that changed the images."""

from __future__ import annotations

from collections.abc import Mapping

from lab.api.context import Context
from lab.model import (
    ARCHITECTURES,
    Architecture,
    GuestImage,
    HypervisorSpec,
    Images,
    Labs,
    Plan,
)
from lab.model.architecture import no_release
from lab.packages import lock
from lab.packages.lock import Lock
from lab.util.resources import as_called
from lab.workshop.prepare import Workshop

#: The most images that are named if they differ.
FEW = 6


def tell(context: Context, workshop: Workshop, images: Mapping[str, str] | None = None) -> None:
    """If packages are not the locked ones, say so in one line.

    ``images``: sha256s by name, to be compared with those in the lock.
    """
    pins = workshop.supplies.lock
    drift = workshop.supplies.state.drift
    if not drift:
        return
    count = f"{len(drift)} of {pins.packages} packages have other versions than the lock"
    compared = f"; {beside(pins, images)}" if images is not None else ""
    context.progress.say(as_called(f"{count}{compared} (./inv image.lock names them)"))


def beside(pins: Lock, images: Mapping[str, str]) -> str:
    """Say whether images are those in the lock. Images that the lock does not have are left out."""
    known = {name: sha for name, sha in images.items() if name in pins.images}
    if not known:
        return "none of the images is in the lock"
    differ = [name for name, sha in known.items() if pins.images[name] != sha]
    if not differ:
        return f"images are compared: all {len(known)} are the same"
    more = f" and {len(differ) - FEW} more" if len(differ) > FEW else ""
    return f"images are compared: these differ: {', '.join(differ[:FEW])}{more}"


def of_dom0(plan: Plan, images: Images) -> dict[str, str]:
    """The sha256s of dom0's images, if there is a dom0, under their names in the lock.

    Those with a kernel of the user's own are the lab's alone.
    """
    lab = plan.lab
    names = (kernel(lab.hypervisor), initramfs(lab.hypervisor))
    if lab.dom0.own_kernel:
        names = (f"dom0/kernel/{lab.name}", f"dom0/initramfs/{lab.name}")
    found = zip(names, (images.kernel, images.initramfs), strict=True)
    prefix = prefix_of(plan.machine.arch)
    return {f"{prefix}{name}": image.sha256 for name, image in found if image}


def names(
    context: Context, plan: Plan, images: Images, guests: Mapping[str, GuestImage]
) -> dict[str, str]:
    """The sha256s of a lab's images, under their names in the lock.

    If the lock does not belong to this labs.yaml, only dom0's: its lab of that name may be another.
    """
    spec = plan.lab.hypervisor
    found = of_dom0(plan, images)
    if not lock.beside(lock.place(context.file), context.file):
        return {} if plan.lab.dom0.own_kernel else found
    prefix = prefix_of(plan.machine.arch)
    found |= of_platform(plan, images)
    found[f"{prefix}hypervisor/{spec.name}"] = images.hypervisor.sha256
    for name, guest in guests.items():
        found |= of_guest(plan.machine.arch, name, guest)
    return found


def of_guest(arch: Architecture, name: str, guest: GuestImage) -> dict[str, str]:
    """The sha256s of a guest's files in labs of an architecture, under their names in the lock."""
    parts = guest.parts().items()
    return {f"{prefix_of(arch)}guest/{name}/{part}": one.sha256 for part, one in parts}


def of_platform(plan: Plan, images: Images) -> dict[str, str]:
    """The sha256s of a lab's device tree and of dom0's images, under their names in the lock."""
    tree = {f"{prefix_of(plan.machine.arch)}devicetree/{plan.lab.name}": images.devicetree.sha256}
    return of_dom0(plan, images) | tree


def prefix_of(arch: Architecture) -> str:
    """What comes before the names of images, unless they are those of the first architecture."""
    return "" if arch == ARCHITECTURES[0] else f"{arch.xen}/"


def prefix_in(image: str) -> str:
    """The prefix that the name of an image has; see :func:`prefix_of`."""
    others = (prefix_of(arch) for arch in ARCHITECTURES[1:])
    return next((prefix for prefix in others if image.startswith(prefix)), "")


def unused(labs: Labs, arch: Architecture) -> list[HypervisorSpec]:
    """The hypervisors of no lab, which the lock has for this architecture, if Debian has them."""
    used = {lab.hypervisor.name for lab in labs.labs.values()}
    found = (spec for name, spec in labs.hypervisors.items() if name not in used)
    return [spec for spec in found if not no_release(arch, spec.release)]


def initramfs(spec: HypervisorSpec) -> str:
    """What the lock calls dom0's initramfs; with tools from a tree it has the hypervisor's name."""
    if spec.tools == "package":
        return f"dom0/initramfs{_suffix(spec)}"
    return f"initramfs/{spec.name}"


def kernel(spec: HypervisorSpec) -> str:
    """What the lock calls Debian's kernel for dom0."""
    return f"dom0/kernel{_suffix(spec)}"


def _suffix(spec: HypervisorSpec) -> str:
    """The end of a name in dom0; dom0 of another release of Xen is from another Debian."""
    default = {arch.releases[0].xen for arch in ARCHITECTURES}
    return f"-{spec.release}" if spec.release and spec.release not in default else ""
