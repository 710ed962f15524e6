"""``labs.lock``: checked against what is built here, or moved to the archive's newest packages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.api import drift
from lab.api.context import Context, clean
from lab.api.plans import make_plan
from lab.errors import ImageError, LockError, ToolchainError
from lab.model import Architecture, GuestSpec
from lab.packages import lock
from lab.packages.lock import Lock
from lab.util import files
from lab.workshop.prepare import Workshop


@dataclass(frozen=True)
class Locked:
    """A lock compared with what is built here. ``changes``: a line for each; empty: they agree."""

    file: Path
    digest: str
    packages: int
    images: int
    changes: tuple[str, ...] = ()


def check_lock(context: Context) -> Locked:
    """Build every image of labs.yaml and compare it, and all packages, with the lock.

    If the lock does not belong to this labs.yaml, only dom0's images are compared.

    Raises:
        ImageError, ToolchainError: the lock cannot be read, or a package is not the locked one.
    """
    clean(context)
    file = lock.place(context.file)
    pins = lock.load(file)
    workshop = context.workshop()
    images = built(context, workshop)
    drifted = [f"package {one}" for one in workshop.supplies.state.drift]
    if not lock.beside(file, context.file):
        pins = replace(pins, images=_common(pins.images))
        images = _common(images)
    changes = lock.changes(pins, replace(pins, images=images))
    return _compared(file, pins, (*drifted, *changes))


def update_lock(context: Context) -> Locked:
    """Move the lock beside labs.yaml to the newest packages, and to the images built from them.

    It has the architectures of the labs, those that it had, and ``context.arch``.

    Raises:
        ImageError: the archive is out of reach, or an image cannot be built.
    """
    clean(context)
    before = _before(context)
    more = {lab.arch for lab in context.labs().labs.values()}
    more |= {context.arch} if context.arch else set()
    context = replace(context, arch=None)
    pins = _any(context, before).supplies.newest(more)
    same = pins.digest == before.digest and before.snapshot
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    pins = replace(pins, snapshot=before.snapshot if same else now)
    images = built(context, Workshop(context.door, context.progress, pins, strict=True))
    # Published runs stay until they are published again: their digests may still be right.
    known = context.labs().labs
    runs = {name: found for name, found in before.runs.items() if name.partition("@")[0] in known}
    after = replace(pins, images=images, runs=runs)
    file = context.file.absolute().parent / lock.NAME
    files.write_atomic(file, lock.dump(after))
    return _compared(file, after, tuple(lock.changes(before, after)))


def built(context: Context, workshop: Workshop) -> dict[str, str]:
    """The sha256 of every image of labs.yaml, by name; each is built if it is not stored."""
    labs = context.labs()
    found: dict[str, str] = {}
    guests: dict[Architecture, dict[str, GuestSpec]] = {}
    for spec in labs.hypervisors.values():
        found[f"hypervisor/{spec.name}"] = workshop.hypervisor(spec)["xen"].sha256
    shops = {workshop.arch: workshop}
    for name, lab in labs.labs.items():
        if lab.arch not in shops:
            shops[lab.arch] = _of(context, workshop, lab.arch)
        with context.progress.stage(f"lab {name}"):
            plan = make_plan(context, name)
            images = shops[lab.arch].platform(plan, force=True)
        found |= drift.of_platform(plan, images)
        guests.setdefault(lab.arch, {}).update((guest.name, guest) for guest in lab.guests)
    for arch, wanted in guests.items():
        for name, guest in shops[arch].guests([*wanted.values()]).items():
            found |= drift.of_guest(arch, name, guest)
    return found


def _of(context: Context, workshop: Workshop, arch: Architecture) -> Workshop:
    """The workshop of another architecture under the same lock."""
    strict = workshop.supplies.strict
    return Workshop(context.door, context.progress, workshop.supplies.lock, arch, strict=strict)


def _common(images: Mapping[str, str]) -> dict[str, str]:
    """The images that are the same for every labs.yaml."""
    return {name: sha for name, sha in images.items() if name in ("dom0/kernel", "dom0/initramfs")}


def _before(context: Context) -> Lock:
    """The present lock. If it cannot be read, an empty one; then the lock is made from scratch."""
    try:
        return lock.load(lock.place(context.file))
    except ImageError as error:
        context.progress.say(error.message)
        return Lock()


def _any(context: Context, before: Lock) -> Workshop:
    """A workshop with any toolchain that can be made: it only has to ask the archive."""
    workshop = Workshop(context.door, context.progress, before)
    try:
        _ = workshop.toolchain
    except (LockError, ToolchainError) as error:
        context.progress.say(error.message)
        workshop = Workshop(context.door, context.progress, Lock())
    return workshop


def _compared(file: Path, pins: Lock, changes: tuple[str, ...]) -> Locked:
    return Locked(file, pins.digest, pins.packages, len(pins.images), changes)
