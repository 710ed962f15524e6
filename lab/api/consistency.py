"""For the doctor: whether the lock, the cached packages and labs.yaml fit together."""

from __future__ import annotations

from pathlib import Path

from lab.api import drift
from lab.api.context import Context
from lab.doctor.checks import Finding, Grade
from lab.errors import LabError
from lab.model import ARCHITECTURES
from lab.packages import lock, pinned
from lab.packages.apt import SOURCE
from lab.packages.lock import Drift, Lock
from lab.store import Store, cache_root
from lab.toolchain import tree_cache
from lab.workshop import provision


def lock_finding(context: Context) -> Finding:
    """Whether the lock, the cached packages and labs.yaml fit together. Nothing is built."""
    cache = cache_root()
    try:
        file = lock.place(context.file)
        pins = lock.load(file)
        drift = _drift(cache, pins)
    except LabError as error:
        return Finding("lock", Grade.FAIL, error.message, error.hint)
    if drift:
        what = f"the cache has other versions than the lock: {'; '.join(map(str, drift[:4]))}"
        more = f" and {len(drift) - 4} more" if len(drift) > 4 else ""
        hint = "./inv image.lock lists them all and compares the images; --update changes the lock"
        return Finding("lock", Grade.WARN, what + more, hint)
    hint = "./inv image.lock --update adds them, ./inv image.lock compares all images"
    known = {"/".join(name.split("/")[:2]) for name in pins.images}
    own, names = lock.beside(file, context.file), _names(context)
    if own and names is not None and (unknown := sorted(names ^ known)):
        what = (
            f"these images are in only one of {file} and {context.file}: {', '.join(unknown[:6])}"
        )
        return Finding("lock", Grade.WARN, what, hint)
    made = {sha for entry in Store(cache).entries() for sha in entry.outputs.values()}
    there = sum(sha in made for sha in pins.images.values())
    fits = (
        f"fits {context.file}" if own else "comes with xenlab; image.lock --update makes your own"
    )
    what = f"{file} {fits}; {there} of its {len(pins.images)} images are stored"
    return Finding("lock", Grade.OK, what)


def _drift(cache: Path, pins: Lock) -> list[Drift]:
    """The packages that are cached in other versions than the locked ones.

    Raises:
        LabError: a cached package has a locked version, but other bytes.
    """
    found: list[Drift] = []
    if tree := tree_cache.find(cache, pins.toolchain):
        found += lock.drift(pins.toolchain, tree.pins)
    xen = [
        provision.xen(pin.version)
        for pin in pins.of(provision.PLATFORM.suite, SOURCE, ("xen",))[:1]
    ]
    others = [one for arch in ARCHITECTURES[1:] for one in provision.of(arch)[1:]]
    for question in (provision.PLATFORM, provision.SYSROOT, provision.KERNEL, *xen, *others):
        part = provision.locked(pins, question)
        pinned.check(cache, part)
        settled = pinned.remembered(cache, question, part)
        found += settled.drift if settled else ()
    return found


def _names(context: Context) -> set[str] | None:
    """The images of labs.yaml, by name; the parts of a guest's image are not known beforehand.

    ``None``: labs.yaml cannot be read. Every other command says better why.
    """
    try:
        labs = context.labs()
    except LabError:
        return None
    guests = {guest.name for one in labs.labs.values() for guest in one.guests}
    return {
        "dom0/kernel", *(name(lab.hypervisor) for lab in labs.labs.values()
                         for name in (drift.kernel, drift.initramfs)),
        *(f"dom0/{kind}/{name}" for name, one in labs.labs.items() if one.dom0.own_kernel
          for kind in ("kernel", "initramfs")),
        *(f"hypervisor/{name}" for name in labs.hypervisors),
        *(f"devicetree/{name}" for name in labs.labs),
        *(f"guest/{name}" for name in guests),
    }  # fmt: skip
