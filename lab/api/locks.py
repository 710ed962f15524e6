"""``labs.lock``: checked against what is built here, or moved to the archive's newest packages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.api import drift
from lab.api.context import Context, clean
from lab.api.plans import make_plan
from lab.errors import ImageError, LockError, ToolchainError
from lab.model import ARCHITECTURES, Architecture, GuestSpec, HypervisorSpec
from lab.packages import lock
from lab.packages.lock import Lock
from lab.util import files
from lab.workshop import questions
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
    workshops = _workshops(context, pins, _used(context), strict=context.strict)
    pins = replace(pins, images=_of(pins.images, workshops))
    images = built(context, *workshops)
    drifted = dict.fromkeys(
        f"package {one}" for shop in workshops for one in shop.supplies.state.drift
    )
    if not lock.beside(file, context.file):
        pins = replace(pins, images=_common(pins.images, workshops, images))
        images = _common(images, workshops, pins.images)
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
    wanted = _architectures(context, before)
    context = replace(context, arch=None)
    pins = _any(context, before, wanted[0]).supplies.newest(wanted)
    same = pins.digest == before.digest and before.snapshot
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    pins = replace(pins, snapshot=before.snapshot if same else now)
    images = built(context, *_workshops(context, pins, wanted, strict=True))
    # Published runs stay until they are published again: their digests may still be right.
    known = context.labs().labs
    runs = {name: found for name, found in before.runs.items() if name.partition("@")[0] in known}
    after = replace(pins, images=images, runs=runs)
    file = context.file.absolute().parent / lock.NAME
    files.write_atomic(file, lock.dump(after))
    return _compared(file, after, tuple(lock.changes(before, after)))


def built(context: Context, *workshops: Workshop) -> dict[str, str]:
    """The sha256 of every image of labs.yaml, by name; each is built if it is not stored.

    ``workshops``: one for each architecture. The first one makes the hypervisors of no lab.
    """
    labs = context.labs()
    first, unused = workshops[0], drift.unused(labs, workshops[0].arch)
    found: dict[str, str] = {}
    for shop in workshops:
        found |= _built_by(context, shop, unused if shop is first else [])
    return found


def _built_by(
    context: Context, workshop: Workshop, more: Sequence[HypervisorSpec]
) -> dict[str, str]:
    """The images of the labs of a workshop's architecture, and of ``more`` hypervisors."""
    prefix = drift.prefix_of(workshop.arch)
    labs = [lab for lab in context.labs().labs.values() if lab.arch == workshop.arch]
    found: dict[str, str] = {}
    guests: dict[str, GuestSpec] = {}
    specs = {spec.name: spec for spec in (*more, *(lab.hypervisor for lab in labs))}
    for spec in specs.values():
        found[f"{prefix}hypervisor/{spec.name}"] = workshop.hypervisor(spec)["xen"].sha256
    for lab in labs:
        with context.progress.stage(f"lab {lab.name}"):
            plan = make_plan(replace(context, arch=None), lab.name)
            platform = workshop.platform(plan, force=True)
        found |= drift.of_platform(plan, platform)
        guests |= {guest.name: guest for guest in lab.guests}
    if not labs:
        images = dict(zip(("kernel", "initramfs"), workshop.base_images()[1:], strict=True))
        found |= {f"{prefix}dom0/{name}": image.sha256 for name, image in images.items()}
    for name, guest in workshop.guests([*guests.values()]).items():
        found |= drift.of_guest(workshop.arch, name, guest)
    return found


def _architectures(context: Context, before: Lock) -> list[Architecture]:
    """Those that a new lock has: of the labs, of the option, and of the lock that it replaces."""
    wanted = _used(context)
    if lock.beside(lock.place(context.file), context.file):
        wanted += [
            one for one in ARCHITECTURES if questions.locked(before, questions.toolchain(one))
        ]
    return list(dict.fromkeys(wanted))


def _used(context: Context) -> list[Architecture]:
    """The architectures of the option and of the labs."""
    return [context.usual_arch, *(lab.arch for lab in context.labs().labs.values())]


def _workshops(
    context: Context, pins: Lock, archs: Sequence[Architecture], *, strict: bool
) -> list[Workshop]:
    """A workshop under a lock for each of these architectures."""
    return [
        Workshop(context.door, context.progress, pins, arch, strict=strict)
        for arch in dict.fromkeys(archs)
    ]


def _of(images: Mapping[str, str], workshops: Sequence[Workshop]) -> dict[str, str]:
    """Those images of a lock that are of the architectures of these workshops."""
    wanted = {drift.prefix_of(shop.arch) for shop in workshops}
    return {name: sha for name, sha in images.items() if drift.prefix_in(name) in wanted}


def _common(
    images: Mapping[str, str], workshops: Sequence[Workshop], others: Mapping[str, str]
) -> dict[str, str]:
    """The images that are the same for every labs.yaml, as far as ``others`` has them too."""
    known = {
        f"{drift.prefix_of(shop.arch)}dom0/{name}"
        for shop in workshops
        for name in ("kernel", "initramfs")
    }
    return {name: sha for name, sha in images.items() if name in known & others.keys()}


def _before(context: Context) -> Lock:
    """The present lock. If it cannot be read, an empty one; then the lock is made from scratch."""
    try:
        return lock.load(lock.place(context.file))
    except ImageError as error:
        context.progress.say(error.message)
        return Lock()


def _any(context: Context, before: Lock, arch: Architecture) -> Workshop:
    """A workshop with any toolchain that can be made: it only has to ask the archive."""
    workshop = Workshop(context.door, context.progress, before, arch)
    try:
        _ = workshop.toolchain
    except (LockError, ToolchainError) as error:
        context.progress.say(error.message)
        workshop = Workshop(context.door, context.progress, Lock(), arch)
    return workshop


def _compared(file: Path, pins: Lock, changes: tuple[str, ...]) -> Locked:
    return Locked(file, pins.digest, pins.packages, len(pins.images), changes)
