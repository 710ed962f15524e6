"""Images and the toolchain that builds them: made, or found in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab import config
from lab.api import drift
from lab.api.context import Context, clean
from lab.model import Dom0Spec, Image, ToolchainInfo
from lab.store import Store, describe


def image_build(context: Context, hypervisor: str | None = None) -> list[tuple[str, Image]]:
    """Build or find images; returns each with its kind.

    ``hypervisor``: the name of one in labs.yaml, for its files and, if it brings dom0's tools, the
    initramfs with them. Without it: the packaged Xen, dom0's kernel and the initramfs.

    Raises:
        ImageError: it does not compile; the tail has the compiler's last lines.
    """
    clean(context)
    workshop = context.workshop()
    prefix = drift.prefix_of(workshop.arch)
    if hypervisor is not None:
        spec = config.find_hypervisor(context.labs(), hypervisor)
        files = workshop.hypervisor(spec)
        if spec.tools == "source":
            _, files["initramfs"], _ = workshop.dom0_of(spec, Dom0Spec())
        names = {"xen": f"hypervisor/{hypervisor}", "initramfs": drift.initramfs(spec)}
        found = {prefix + name: files[kind].sha256 for kind, name in names.items() if kind in files}
        drift.tell(context, workshop, found)
        return list(files.items())
    packaged, kernel, initramfs = workshop.base_images()
    images = {
        f"{prefix}dom0/kernel": kernel.sha256,
        f"{prefix}dom0/initramfs": initramfs.sha256,
    }
    drift.tell(context, workshop, images)
    return [(image.kind, image) for image in (packaged, kernel, initramfs)]


def image_list() -> list[dict[str, Any]]:
    """All stored images: kind, key, size in bytes, and what each was made of."""
    return [describe(entry) for entry in Store().entries()]


def toolchain_build(context: Context) -> ToolchainInfo:
    """Make or find the toolchain.

    Raises:
        ToolchainError: it cannot be made.
        LockError: it is not the locked one, and must be.
    """
    clean(context)
    workshop = context.workshop()
    info = workshop.toolchain.info()
    drift.tell(context, workshop)
    state = workshop.supplies.state
    return replace(info, lock=state.digest, drift=tuple(map(str, state.drift)))
