"""Turns the shape of labs.yaml into the model: looks up names and checks paths.

Every function adds problems to the :class:`Source` and goes on, so the user sees all problems at
once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab import model
from lab.config import (
    arch,
    boot_guests,
    devices,
    exploring,
    fit,
    fixed_memory,
    guest_files,
    links,
    matrix,
    scenario,
    sched,
    sched_shapes,
    schema,
    trace_keys,
)
from lab.config.paths import Paths
from lab.config.yaml_source import Loc, Source
from lab.errors import UsageError
from lab.model.architecture import by_word
from lab.util import reading
from lab.util.suggest import nearest
from lab.util.terminal import quote

Program = model.FreeRtosApp | model.LinuxGuest | model.Project | model.Prebuilt
#: The memory of a Linux guest if labs.yaml does not say.
LINUX_MEMORY = 96 << 20


def labs(source: Source, file: schema.File) -> model.Labs:
    """All labs of the file. Problems are added to ``source``."""
    paths = Paths(source)
    hypervisors = {"stock": model.HypervisorSpec("stock")}
    for name, shape in file.hypervisors.items():
        hypervisors[name] = _hypervisor(source, paths, name, shape)
    guests = {name: _guest(source, name, shape) for name, shape in file.guests.items()}
    found = {
        name: _lab(source, name, shape, hypervisors, guests) for name, shape in file.labs.items()
    }
    if not found:
        source.add(("labs",), "no lab in it", key=True)
    matrices = {name: matrix.read(source, name, one, found) for name, one in file.matrices.items()}
    return model.Labs(source.file.absolute(), hypervisors, guests, found, matrices)


def _share(shape: sched_shapes.Scheduling | None) -> model.Scheduling | None:
    """A share of the CPU, as written in the file."""
    if shape is None:
        return None
    found = shape.model_dump(include=set(sched_shapes.Scheduling.model_fields))
    return model.Scheduling(**{**found, "name": found["name"] or ""})


def _schedule(shape: sched_shapes.LabScheduling | None) -> model.Schedule | None:
    """The schedule as it is in the file; what is missing of it is 0 or empty."""
    if shape is None or (shape.frame is None and shape.windows is None):
        return None
    windows = (model.Window(one.domain, one.runtime, one.vcpu) for one in shape.windows or ())
    return model.Schedule(shape.frame or 0.0, tuple(windows))


def _hypervisor(
    source: Source, paths: Paths, name: str, shape: schema.Hypervisor
) -> model.HypervisorSpec:
    at = ("hypervisors", name)
    if shape.origin == "package":
        given = {"source": shape.source is not None, "kconfig": bool(shape.kconfig)}
        _without(source, at, given, "a package is used as it is; it goes with 'from: source'")
    if shape.tools == "source" and not shape.source:
        why = "dom0's tools are built from a tree of yours; name it with 'source'"
        _without(source, at, {"tools": True}, why)
    return model.HypervisorSpec(
        name=name,
        origin=shape.origin,
        source=paths.folder((*at, "source"), shape.source) if shape.source else None,
        kconfig=tuple(
            paths.file((*at, "kconfig", i), text, reading.TEXT)
            for i, text in enumerate(shape.kconfig)
        ),
        args=shape.args,
        tools=shape.tools or ("source" if shape.source else "package"),
        release=shape.release,
    )


def _guest(source: Source, name: str, shape: schema.Guest) -> model.GuestSpec:
    at = ("guests", name)
    refused: list[model.Refusal] = []
    paths = Paths(source, refused)
    program = _program(source, paths, at, shape)
    said = "memory" in shape.model_fields_set or not shape.linux
    memory = shape.memory if said else LINUX_MEMORY
    fit.whole_mebibytes(source, (*at, "memory"), memory)
    fit.no_twice(source, (*at, "cpus"), shape.cpus.given)
    boot_guests.check_guest(source, at, shape)
    of_files = guest_files.look(source, at, shape)
    spec = model.GuestSpec(
        name=name,
        program=program,
        memory=memory,
        vcpus=shape.vcpus,
        cpus=shape.cpus.numbers,
        cpus_of_all=shape.cpus.of_all,
        cmdline=shape.cmdline,
        scheduler=_share(shape.scheduler),
        trace=trace_keys.ring(source, at, shape),
        may_crash=shape.may_crash,
        by_xen=shape.start == boot_guests.DEVICE_TREE,
        static_memory=shape.static_memory,
        direct_map=shape.direct_map,
        disks=devices.disks(source, at, paths, shape),
        vifs=devices.vifs(name, shape),
        ends=devices.ends(source, at, shape, traced=bool(shape.trace)),
        vuart=shape.vuart,
        width=of_files.width,
        refused=(*refused, *of_files.refused),
        places=guest_files.places(source, at, shape),
    )
    fixed_memory.check_guest(source, at, spec)
    return spec


def _program(source: Source, paths: Paths, at: Loc, shape: schema.Guest) -> Program:
    several = [key for key in ("freertos", "linux", "project") if getattr(shape, key)]
    if len(several) > 1:
        what = f"a guest has either {quote(several[0])} or {quote(several[-1])}, not both"
        source.add((*at, several[-1]), what, key=True)
    if shape.freertos:
        return _freertos(source, paths, at, shape, shape.freertos)
    if shape.linux:
        return _linux(source, paths, at, shape, shape.linux)
    if shape.project:
        return _project(source, paths, at, shape, shape.project)
    return _prebuilt(source, paths, at, shape)


def _freertos(
    source: Source, paths: Paths, at: Loc, shape: schema.Guest, app: str
) -> model.FreeRtosApp:
    given = {"build": bool(shape.build), "elf": bool(shape.elf), "ramdisk": bool(shape.ramdisk)}
    _without(source, at, given, "the lab builds a 'freertos' guest itself")
    if shape.vcpus != 1:
        source.add((*at, "vcpus"), "a FreeRTOS guest has one vCPU: its scheduler cannot use more")
    return model.FreeRtosApp(
        app=paths.folder((*at, "freertos"), app),
        kernel_tree=paths.kernel((*at, "kernel"), shape.kernel) if shape.kernel else None,
        emergency_console=shape.emergency_console,
    )


def _linux(
    source: Source, paths: Paths, at: Loc, shape: schema.Guest, folder: str
) -> model.LinuxGuest:
    given = {key: bool(getattr(shape, key)) for key in ("build", "elf", "kernel", "ramdisk")}
    _without(source, at, given, "the lab makes the kernel and the ramdisk of a 'linux' guest")
    _without(source, at, {"emergency_console": shape.emergency_console}, "it goes with 'freertos'")
    return model.LinuxGuest(paths.file((*at, "linux"), f"{folder.rstrip('/')}/init").parent)


def _project(
    source: Source, paths: Paths, at: Loc, shape: schema.Guest, folder: str
) -> model.Project:
    given = {"emergency_console": shape.emergency_console, "ramdisk": bool(shape.ramdisk)}
    _without(source, at, given, "it does not go with 'project'")
    root = paths.folder((*at, "project"), folder)
    for key in ("build", "kernel"):
        if not getattr(shape, key):
            words = {"build": "the command that builds it", "kernel": "the file that it makes"}
            source.add(at, f"'{key}' is missing: {words[key]}")
    return model.Project(
        project=root,
        build=tuple(shape.build),
        kernel=paths.below((*at, "kernel"), root, shape.kernel or "-"),
        elf=paths.below((*at, "elf"), root, shape.elf) if shape.elf else None,
    )


def _prebuilt(source: Source, paths: Paths, at: Loc, shape: schema.Guest) -> model.Prebuilt:
    given = {"build": bool(shape.build), "elf": bool(shape.elf)}
    _without(source, at, given, "it goes with 'project'")
    _without(source, at, {"emergency_console": shape.emergency_console}, "it goes with 'freertos'")
    if not shape.kernel:
        source.add(at, "a guest needs one of 'freertos', 'linux', 'project' or 'kernel'")
    return model.Prebuilt(
        kernel=paths.named(shape.kernel) if shape.kernel else Path("/"),
        ramdisk=paths.named(shape.ramdisk) if shape.ramdisk else None,
    )


def _without(source: Source, at: Loc, given: Mapping[str, bool], why: str) -> None:
    for key, is_given in given.items():
        if is_given:
            source.add((*at, key), f"'{key}' is not allowed here: {why}", key=True)


def _lab(
    source: Source,
    name: str,
    shape: schema.Lab,
    hypervisors: Mapping[str, model.HypervisorSpec],
    guests: Mapping[str, model.GuestSpec],
) -> model.Lab:
    at = ("labs", name)
    if shape.hypervisor not in hypervisors:
        _unknown(source, (*at, "hypervisor"), "hypervisor", shape.hypervisor, hypervisors)
    fit.no_twice(source, (*at, "guests"), shape.guests)
    for i, guest in enumerate(shape.guests):
        if guest not in guests:
            _unknown(source, (*at, "guests", i), "guest", guest, guests)
    dom0 = shape.dom0 or schema.Dom0()
    lab = model.Lab(
        name=name,
        hypervisor=hypervisors.get(shape.hypervisor, hypervisors["stock"]),
        cpus=shape.cpus,
        memory=shape.memory,
        dom0=_dom0(source, (*at, "dom0"), dom0),
        guests=tuple(guests[guest].on(shape.cpus) for guest in shape.guests if guest in guests),
        may_crash=shape.may_crash,
        without_dom0=shape.dom0 is None,
        line=source.line(at),
        clock=model.Clock(shape.clock) if shape.clock else None,
        arch=by_word(shape.arch),
        cpu=shape.cpu or "",
        gic=shape.gic or 0,
        description="" if shape.description == "-" else shape.description,
        trace=trace_keys.xen(source, (*at, "trace"), shape.trace),
        schedule=_schedule(shape.scheduler),
    )
    lab = scenario.read(source, at, shape, lab, guests)
    lab = exploring.read(source, (*at, "explore"), shape.explore, lab, guests)
    boot_guests.check(source, at, shape, lab)
    fixed_memory.check(source, lab)
    lab = links.read(source, at, shape, lab)
    fit.check(source, at, lab)
    for key, why in arch.problems(lab):
        source.add((*at, key), f"'{key}': {why}")
    devices.check_addresses(source, (*lab.guests, *lab.later))
    trace_keys.fits(source, at, lab)
    lab = sched.settle(source, at, lab, _share(shape.scheduler), hypervisors.values())
    return dataclasses.replace(lab, later=_later(source, at, lab))


def _dom0(source: Source, at: Loc, shape: schema.Dom0) -> model.Dom0Spec:
    paths = Paths(source)
    if shape.kernel and shape.source:
        source.add((*at, "source"), "dom0 has either a 'kernel' or a 'source'", key=True)
    _without(source, at, {"modules": bool(shape.modules and not shape.kernel)},
             "it goes with 'kernel'")  # fmt: skip
    _without(source, at, {"config": bool(shape.config and not shape.source)},
             "it goes with 'source'")  # fmt: skip
    return model.Dom0Spec(
        memory=shape.memory,
        vcpus=shape.vcpus,
        cpus=tuple(shape.cpus),
        scheduler=_share(shape.scheduler),
        busy=shape.busy,
        kernel=paths.file((*at, "kernel"), shape.kernel) if shape.kernel else None,
        modules=paths.folder((*at, "modules"), shape.modules) if shape.modules else None,
        source=paths.folder((*at, "source"), shape.source) if shape.source else None,
        config=tuple(
            paths.file((*at, "config", i), text, reading.TEXT)
            for i, text in enumerate(shape.config)
        ),
        places={key: source.place((*at, key)) for key in sorted(shape.model_fields_set)},
    )


def _later(source: Source, at: Loc, lab: model.Lab) -> tuple[model.GuestSpec, ...]:
    """The guests that steps inject, with their shares under this lab's scheduler."""
    found = []
    for guest in lab.later:
        try:
            found.append(sched.for_guest(lab, guest.on(lab.cpus)))
        except UsageError as error:
            source.add((*at, "steps"), error.message)
    return tuple(found)


def _unknown(source: Source, at: Loc, what: str, name: str, known: Iterable[str]) -> None:
    source.add(at, f"no {what} {quote(name)}{nearest(name, known)}")
