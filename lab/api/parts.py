"""The parts that labs are made of: guests, images, the toolchain, this machine."""

from __future__ import annotations

from typing import Any

from lab import config
from lab.api.context import Context, clean
from lab.doctor import Finding, check
from lab.model import GuestImage, Image, ToolchainInfo
from lab.prepare import Workshop
from lab.store import Store, cache_root, describe


def guest_build(context: Context, name: str) -> GuestImage:
    """Build a guest of labs.yaml.

    Raises:
        GuestError: it does not compile.
    """
    clean(context)
    spec = config.find_guest(context.labs(), name)
    return Workshop(context.door, context.progress).guests([spec])[name]


def image_build(context: Context, refresh: bool = False) -> list[Image]:
    """Build or find Xen, dom0's kernel and the initramfs; ``refresh`` looks for newer packages."""
    clean(context)
    return Workshop(context.door, context.progress, refresh=refresh).base_images()


def image_list() -> list[dict[str, Any]]:
    """What is stored: kind, key, size in bytes, and what it was made of."""
    return [describe(entry) for entry in Store().entries()]


def toolchain_build(context: Context) -> ToolchainInfo:
    """Make or find the toolchain."""
    clean(context)
    return Workshop(context.door, context.progress).toolchain.info()


def doctor(context: Context) -> list[Finding]:
    """What this machine has and lacks."""
    return check(cache_root(), context.runs)
