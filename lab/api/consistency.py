"""For the doctor: whether the lock, the cached packages and labs.yaml fit together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.api import drift
from lab.api.context import Context
from lab.doctor.checks import Finding, Grade
from lab.errors import LabError
from lab.model import ARCHITECTURES, Lab
from lab.packages import lock, pinned
from lab.packages.apt import SOURCE
from lab.packages.lock import Drift, Lock
from lab.store import Store, cache_root
from lab.toolchain import tree_cache
from lab.workshop import questions


def lock_finding(context: Context) -> Finding:
    """Whether the lock, the cached packages and labs.yaml fit together. Nothing is built."""
    cache = cache_root()
    try:
        file = lock.place(context.file)
        pins = lock.load(file)
        drifted = _drift(cache, pins)
    except LabError as error:
        return Finding("lock", Grade.FAIL, error.message, error.hint)
    if drifted:
        what = f"the cache has other versions than the lock: {'; '.join(map(str, drifted[:4]))}"
        more = f" and {len(drifted) - 4} more" if len(drifted) > 4 else ""
        hint = "./inv image.lock lists them all and compares the images; --update changes the lock"
        return Finding("lock", Grade.WARN, what + more, hint)
    hint = "./inv image.lock --update adds them, ./inv image.lock compares all images"
    own, names = lock.beside(file, context.file), _names(context)
    known = set(map(_without_part, pins.images))
    if names is not None:  # other architectures may be locked, without a lab
        prefixes = set(map(drift.prefix_in, names))
        known = {name for name in known if drift.prefix_in(name) in prefixes}
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
    for arch in ARCHITECTURES:
        locked = questions.locked(pins, questions.toolchain(arch))
        if locked and (tree := tree_cache.find(cache, locked, arch)):
            found += lock.drift(locked, tree.pins)
    xen = [
        questions.xen(pin.version)
        for pin in pins.of(questions.PLATFORM.suite, SOURCE, ("xen",))[:1]
    ]
    others = [one for arch in ARCHITECTURES[1:] for one in questions.of(arch)[1:]]
    for question in (questions.PLATFORM, questions.SYSROOT, questions.KERNEL, *xen, *others):
        part = questions.locked(pins, question)
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
    usual = context.usual_arch
    prefix = drift.prefix_of(usual)
    found = {f"{prefix}hypervisor/{spec.name}" for spec in drift.unused(labs, usual)}
    for lab in labs.labs.values():
        prefix = drift.prefix_of(lab.arch)
        found |= {prefix + name for name in _of_lab(lab)}
    return found


def _of_lab(lab: Lab) -> Iterator[str]:
    yield drift.kernel(lab.hypervisor)
    yield drift.initramfs(lab.hypervisor)
    yield f"hypervisor/{lab.hypervisor.name}"
    yield f"devicetree/{lab.name}"
    if lab.dom0.own_kernel:
        yield from (f"dom0/{kind}/{lab.name}" for kind in ("kernel", "initramfs"))
    yield from (f"guest/{guest.name}" for guest in lab.guests)


def _without_part(image: str) -> str:
    """The name of an image in the lock without the part of a guest's image, as in ``guest/a/elf``.

    The names of other architectures than the first have one word more.
    """
    return "/".join(image.split("/")[: 3 if drift.prefix_in(image) else 2])
